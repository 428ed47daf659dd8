"""The contrastive loss: seconds and memory of forward and backward, ours beside the whole matrix and open_clip's.

    python bench/loss.py --peer-python PEER/bin/python
    python bench/loss.py --device cuda

Every measurement is a process of its own (peers/open_clip_loss.py says what each computes). Peers hold N x N matrices
and run where those fit in 20 GB. Products of matrices: dense three; ours four, as the logits are made a second time in
the backward pass; ClipLoss of one process six, as it makes the logits of each direction anew.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from measure import show, write

RUN = Path(__file__).parent / "peers" / "open_clip_loss.py"
WIDTH = 640
PRODUCTS = {"openalign": 4, "dense": 3, "open_clip": 6}
PEER_BYTES = 20e9
PEER_MATRICES = 5  # of N x N float32 that a peer may hold at once, rounded up: logits, softmaxes and their gradients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="Python of an environment with open_clip (bench/README.md)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--counts", type=int, nargs="+", default=[4096, 16384, 65536], help="pairs, N")
    options = parser.parse_args()
    python_of = {"openalign": sys.executable, "dense": sys.executable}
    if options.peer_python:
        python_of["open_clip"] = options.peer_python

    rows, not_run = [], []
    for count in options.counts:
        fits = PEER_MATRICES * 4 * count**2 <= PEER_BYTES
        here = [
            row_of(name, python_of[name], count, options.device) for name in python_of if name == "openalign" or fits
        ]
        if not fits:
            matrix = f"one N x N matrix is {4 * count**2 / 1e9:.0f} GB"
            not_run += [f"{name}, N = {count:,}: not run, {matrix}" for name in python_of if name != "openalign"]
        rows += compared(here)
    name, device = ("loss", "CPU") if options.device == "cpu" else ("loss_cuda", torch.cuda.get_device_name())
    show(f"Loss, forward and backward, {device}, float32, D = {WIDTH}", rows)
    print(*not_run, sep="\n")
    print(f"Wrote {write(name, rows, device=device, threads=torch.get_num_threads(), width=WIDTH, not_run=not_run)}")


def row_of(name: str, python: str, count: int, device: str) -> dict[str, Any]:
    """Measured in a process of its own."""
    repeats = 3 if count < 65536 else 1
    command = [python, str(RUN), name, str(count), str(WIDTH), device, str(repeats)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800)
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = statistics.median(found["seconds"])
    print(f"{name}, N = {count:,}: {seconds:.3f} s, {found['peak_bytes'] / 1e6:,.0f} MB", flush=True)
    return {
        "what": f"{name}, N = {count:,}",
        "seconds": round(seconds, 4),
        "every pass": " ".join(f"{one:.3g}" for one in found["seconds"]),
        "extra MB": round(found["peak_bytes"] / 1e6, 1),
        "GFLOP/s": round(PRODUCTS[name] * 2e-9 * count**2 * WIDTH / seconds, 1),
    }


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, ours first, each with our time and memory as parts of its own."""
    ours = rows[0]
    for row in rows:
        row["our time"] = f"{ours['seconds'] / row['seconds']:.2f}x"
        row["our memory"] = f"{ours['extra MB'] / row['extra MB']:.3f}x"
    return rows


if __name__ == "__main__":
    main()
