#!/usr/bin/env bash
# A DataLoader worker that is killed (the kernel does so when memory runs out) raises in the main process not where the
# next batch is asked for, but wherever the main thread is at that moment.
#
# Expected: `next()` of the loader raises; the code between two batches runs to its end.
# Seen:     a RuntimeError out of that code. In a training loop that may be the middle of `optimizer.step()`: some
#           weights are updated and others are not, and a checkpoint written by an `except` holds a state that no
#           undisturbed run ever has.
# Why:      the first loader of a process sets a handler of SIGCHLD, which raises.
# What helps: a handler around torch's that raises only while a batch is awaited (openalign/data/workers.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/worker_death.py" <<'PYTHON'
import os
import platform
import signal
import sys
import time

import torch
from torch.utils.data import DataLoader


def step() -> None:
    """Stands for a training step: two seconds of work in which nothing of the loader is called."""
    for _ in range(20):
        time.sleep(0.1)


def main() -> None:
    print("python", platform.python_version(), "torch", torch.__version__)
    batches = iter(DataLoader(range(1000), batch_size=10, num_workers=1))
    next(batches)
    os.kill(batches._workers[0].pid, signal.SIGKILL)
    try:
        step()
    except RuntimeError as error:
        print("seen: the step raised:", str(error).splitlines()[0])
        return
    print("the step ended; expected, and no longer what this script says")
    sys.exit(1)


if __name__ == "__main__":
    main()
PYTHON
"$folder/venv/bin/python" "$folder/worker_death.py"
