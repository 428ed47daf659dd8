"""What every benchmark shares: where it ran, how often it was timed, and the file its figures go to."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "numpy", "pillow", "simplejpeg", "open_clip_torch", "timm", "webdataset", "triton")


def environment() -> dict[str, Any]:
    """Date, machine and versions of what is installed here."""
    gpu = _gpu()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _of_proc("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _of_proc("/proc/meminfo", "MemTotal"),
        **({"gpu": gpu} if gpu is not None else {}),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def write(name: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    """Write `results/NAME.json`: the environment, anything more worth knowing, and the rows."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"environment": environment(), **more, "rows": list(rows)}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table, a column a key."""
    table = Table(title=title, title_justify="left")
    for column, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if column else "left")
    for row in rows:
        table.add_row(*(f"{value:,.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def seconds(run: Callable[[], object], repeats: int = 5, warm_up: int = 1) -> float:
    """Median seconds of one call."""
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _gpu() -> str | None:
    """Name, memory and driver of the first GPU."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    found = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, timeout=30).stdout.splitlines()
    return found[0] if found else None


def _of_proc(file: str, key: str) -> str:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "unknown")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
