"""The machine that a run uses: RUN/machine.json, and the memory of this process."""

import json
import platform
import resource
import sys
from pathlib import Path

import torch

from openalign.files import whole_file
from openalign.training.optimization.processes import Processes
from openalign.training.watch.throughput import Peak
from openalign.version import __version__


def write_machine(run: Path, peak: Peak, processes: Processes) -> None:
    """Write RUN/machine.json: the device, the peak that MFU is a share of, and versions. Raises OSError."""
    machine = {
        "device": peak.device,
        "processes": processes.world_size,
        "peak_flops": peak.flops,
        "peak_source": peak.source,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "openalign": __version__,
    }
    with whole_file(run / "machine.json") as partial:
        partial.write_text(json.dumps(machine, indent=1) + "\n", encoding="utf-8")


def peak_memory(device: torch.device) -> int:
    """Most bytes that this process has held: on its GPU, else in RAM, without the loader's workers."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
