"""Training steps on a GPU at the sizes of the recipes: pairs/s, MFU and memory, in bfloat16.

    python bench/gpu_step.py [--compile] [--seconds 90]

Images are random pixels and start in the host's memory as a loader leaves them, texts have 64 word pieces of 100,000,
the optimizer is LAMB. A batch larger than its micro-batch goes forward twice
(training/optimization/step.py). Sizes that do not fit, or would start after the seconds given, are listed as not run.
"""

import argparse
import gc
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from measure import show, write

from openalign.data.loading.loader import Batch
from openalign.model.align import Align
from openalign.model.scales import image_tower, text_tower
from openalign.training.optimization.optim import build_optimizer
from openalign.training.optimization.processes import Processes
from openalign.training.optimization.replica import Replica
from openalign.training.optimization.step import train_step
from openalign.training.recipe.recipe import Recipe
from openalign.training.watch.throughput import peak_of, utilisation

VOCABULARY = 100_000
PIECES = 64
WARM_UP, TIMED = 3, 5


@dataclass(frozen=True)
class Size:
    """What one row measures."""

    towers: tuple[str, str]
    side: int
    batch: int
    micro_batch: int
    recompute: bool = False

    def __str__(self) -> str:
        recomputed = ", recomputed" if self.recompute else ""
        return f"{' + '.join(self.towers)}, {self.side} px, {self.batch:,} by {self.micro_batch:,}{recomputed}"


SIZES = (
    Size(("b0", "mini"), 224, 1024, 1024),
    Size(("b3", "mini"), 289, 512, 512),
    Size(("b7", "base"), 289, 128, 128),
    Size(("b7", "base"), 289, 512, 128),
    Size(("b7", "base"), 289, 512, 512, recompute=True),
    Size(("b0", "mini"), 289, 4096, 1024),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="no size is begun after this many")
    parser.add_argument("--compile", action="store_true", help="let torch.compile fuse the towers")
    parser.add_argument("--name", help="of the file in bench/results")
    options = parser.parse_args()
    name = options.name or ("gpu_step_compiled" if options.compile else "gpu_step")
    rows, not_run, began = [], [], time.monotonic()
    for size in SIZES:
        if time.monotonic() - began > options.seconds:
            not_run.append(f"{size}: no time left")
            continue
        try:
            rows.append(measured(size, options.compile))
            print(f"{time.monotonic() - began:.0f} s: {rows[-1]}", flush=True)
        except torch.OutOfMemoryError:
            not_run.append(f"{size}: out of memory")
        gc.collect()
        torch.cuda.empty_cache()
        torch.compiler.reset()
        write(name, rows, not_run=not_run)
    show(f"Training step, bfloat16{', compiled' if options.compile else ''}", rows)
    print(*not_run, sep="\n")
    print(f"Wrote {write(name, rows, not_run=not_run)}")


def measured(size: Size, compiled: bool) -> dict[str, Any]:
    """Some steps of one size; a step ends with its loss on the host, so the device is done."""
    recipe = Recipe(
        data="", tokenizer="", steps=1000, batch_size=size.batch, micro_batch_size=size.micro_batch,
        image_size=size.side, image_tower=image_tower(size.towers[0]), text_tower=text_tower(size.towers[1]),
        precision="bfloat16", compile=compiled, recompute_activations=size.recompute,
    )  # fmt: skip
    device = torch.device("cuda")
    torch.cuda.reset_peak_memory_stats()
    model = Align(recipe.model(VOCABULARY)).to(device).train()
    model.vision_model.to(memory_format=torch.channels_last)
    if size.recompute:
        model.recompute_activations()
    if compiled:
        model.compile_towers()
    replica = Replica(model, Processes(device=device), "ddp", recipe.precision)
    optimizer = build_optimizer(model, recipe.optimizer)
    images_BHWC = torch.randint(0, 256, (size.batch, size.side, size.side, 3), dtype=torch.uint8)
    ids_BT = torch.randint(5, VOCABULARY, (size.batch, PIECES))
    batch = Batch(0, images_BHWC, ids_BT, torch.ones_like(ids_BT), np.arange(size.batch)).pin_memory()
    seconds = []
    for _ in range(WARM_UP + TIMED):
        began = time.perf_counter()
        train_step(replica, optimizer, batch, recipe)
        seconds.append(time.perf_counter() - began)
    rate = size.batch / statistics.median(seconds[WARM_UP:])
    return {
        "what": str(size),
        "pairs/s": round(rate, 1),
        "MFU %": round(100 * utilisation(recipe, rate, PIECES, peak_of(device, "bfloat16"), 1), 2),
        "peak GB": round(torch.cuda.max_memory_allocated() / 1e9, 1),
        "first step s": round(seconds[0], 1),
    }


if __name__ == "__main__":
    main()
