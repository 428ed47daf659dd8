"""One step at batch 16,384 on two cores: ours beside gradient caching as commonly written.

    python bench/cached_step.py

Processes take turns; the first step of each is left out, since memory settles in it. The peak is that of the whole
process, 201 MB of images included.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from measure import show, write

STEP = Path(__file__).parent / "peers" / "cached_step.py"
NAMES = {"openalign": "openalign", "two_pass": "plain two-pass, dense loss"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=16_384)
    parser.add_argument("--micro-batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="steps a round, the first one not counted")
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in NAMES}
    for _ in range(options.rounds):
        for way, results in found.items():
            sizes = [str(value) for value in (options.batch_size, options.micro_batch_size, options.steps)]
            done = subprocess.run(
                [sys.executable, str(STEP), way, *sizes], check=True, stdout=subprocess.PIPE, text=True, timeout=1800
            )
            results.append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for way, results in found.items():
        seconds = statistics.median(time for result in results for time in result["seconds"][1:])
        peak = statistics.median(result["peak_bytes"] for result in results)
        rows.append(
            {
                "way": NAMES[way],
                "s a step": round(seconds, 1),
                "pairs/s": round(options.batch_size / seconds, 1),
                "peak GB": round(peak / 1e9, 2),
            }
        )
    show(f"Cached step: batch {options.batch_size:,} in micro-batches of {options.micro_batch_size}, demo towers", rows)
    print(f"Wrote {write('cached_step', rows, batch_size=options.batch_size, found=found)}")


if __name__ == "__main__":
    main()
