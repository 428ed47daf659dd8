"""Training step: pairs/s of EfficientNet-B0 and a mini text tower, ours beside open_clip and AlignModel.

    python bench/train_step.py --peer-python PEER/bin/python
    python bench/train_step.py --device cuda --rounds 1

Each framework runs in a process of its own; the processes take turns, and the median over all rounds is printed. On a
CPU peers run as they ship and with freed memory kept (our allocator setting, see
openalign/training/optimization/allocator.py).
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from measure import show, write

STEP = Path(__file__).parent / "peers" / "train_step.py"
SIZES = {"cpu": ((64, 256), (224, 32)), "cuda": ((64, 4096), (224, 512))}  # side in pixels, pairs a step
KEEP = "--keep-freed-memory"


Runs = list[tuple[str, str, list[str]]]
"""Of each way to run: its name, the Python that runs it, and flags."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="Python of an environment with open_clip (bench/README.md)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="timed steps a round")
    parser.add_argument("--device", choices=list(SIZES), default="cpu")
    options = parser.parse_args()
    runs: Runs = [("openalign", sys.executable, [KEEP]), ("AlignModel", sys.executable, [])]
    if options.peer_python:
        runs.append(("open_clip", options.peer_python, []))
    if options.device == "cpu":
        runs += [(f"{name}, freed memory kept", python, [KEEP]) for name, python, _ in runs[1:]]

    rows = []
    for side, size in SIZES[options.device]:
        rates = measured(runs, options.rounds, side, [str(side), str(size), str(options.steps), options.device])
        rows += rows_of(rates, f"{side} px, batch {size}")
    versions = peer_versions(options.peer_python) if options.peer_python else []
    show("Training step, EfficientNet-B0 + 4 layers of 256, texts of 16 word pieces", rows)
    name = "train_step" if options.device == "cpu" else f"train_step_{options.device}"
    print(f"Wrote {write(name, rows, peer_versions=versions)}")


def measured(runs: Runs, rounds: int, side: int, arguments: list[str]) -> dict[str, list[float]]:
    """Pairs/s of every timed step of each run, the runs taking turns."""
    rates: dict[str, list[float]] = {name: [] for name, _, _ in runs}
    for _ in range(rounds):
        for name, python, flags in runs:
            framework = name.partition(",")[0].replace("AlignModel", "align")
            command = [python, str(STEP), framework, *arguments, *flags]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=900)
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}, {side} px: {statistics.median(found):,.1f} pairs/s", flush=True)
            rates[name] += found
    return rates


def rows_of(rates: dict[str, list[float]], what: str) -> list[dict[str, object]]:
    """A row for each run: median, slowest and fastest step, and our median beside its own."""
    ours = statistics.median(rates["openalign"])
    return [
        {
            "what": f"{name}, {what}",
            "pairs/s": round(statistics.median(every), 1),
            "slowest": round(min(every), 1),
            "fastest": round(max(every), 1),
            "openalign is": f"{ours / statistics.median(every):.2f}x",
        }
        for name, every in rates.items()
    ]


def peer_versions(python: str) -> list[str]:
    """What stands in the peers' environment."""
    done = subprocess.run([python, "-m", "pip", "freeze"], check=True, stdout=subprocess.PIPE, text=True)
    return [line for line in done.stdout.splitlines() if line.startswith(("open_clip", "timm", "torch"))]


if __name__ == "__main__":
    main()
