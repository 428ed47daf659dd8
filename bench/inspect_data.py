"""`openalign inspect` on large data: a table of five million rows, and a thousand shards.

    python bench/inspect_data.py [--rows 5000000] [--shards 1000] [--before CHECKOUT]

Makes both in a temporary folder, runs the command on each in a process of its own, and prints the seconds, the seconds
of processor time and the memory at its peak, beside those of opening the same data as commands do; with `--before`,
also with another checkout of openalign, the two in turn.
"""

import argparse
import io
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import measure
from PIL import Image

from openalign.data.shards.writer import ShardWriter

WORDS = ("a", "red", "green", "apple", "boat", "house", "near", "water", "with", "two", "old", "shoe", "of", "on")
OPENING = "import sys; from openalign.data.pairs.open import open_pairs; print(len(open_pairs(sys.argv[1])))"


def write_table(path: Path, rows: int) -> None:
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("image,caption\n")
        for row in range(rows):
            file.write(f"images/{row:08d}.jpg,{' '.join(draw.choices(WORDS, k=8))}\n")


def write_shards(folder: Path, shards: int) -> None:
    content = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(content, "JPEG")
    with ShardWriter(folder, 100) as writer:
        for row in range(100 * shards):
            writer.write(f"{row:09d}", content.getvalue(), f"a red picture {row}", {"page": "http://example.org/"})


def measured(command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    """Wall and processor seconds of a command, and its peak memory in MB."""
    best = min((_once(command, environment) for _ in range(3)), key=lambda each: each["processor_seconds"])
    return best | {"peak_MB": peak_memory(command, environment)}


def _once(command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.perf_counter() - start, 2), "processor_seconds": round(processor, 2)}


def peak_memory(command: list[str], environment: Mapping[str, str]) -> float:
    """Peak memory of a command in MB, by a parent of its own, since the peak of children is that of all so far."""
    child = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    child += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)"
    whole = [sys.executable, "-c", child, *command]
    done = subprocess.run(whole, check=True, capture_output=True, text=True, env=environment)
    return round(float(done.stdout))


def environment_of(checkout: Path | None) -> dict[str, str]:
    """The environment to run the openalign of a checkout in; None: this one."""
    path = checkout or Path(__file__).parent.parent
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(path.absolute())}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--shards", type=int, default=1_000)
    arguments.add_argument("--before", type=Path, help="another checkout of openalign")
    asked = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        table, shards = Path(folder) / "table.csv", Path(folder) / "shards"
        write_table(table, asked.rows)
        write_shards(shards, asked.shards)
        inspect, opened = [sys.executable, "-m", "openalign", "inspect"], [sys.executable, "-c", OPENING]
        for what, data in (("table", table), ("shards", shards)):
            rows.append({"what": f"inspect the {what}"} | measured([*inspect, str(data)], environment_of(None)))
            for name, checkout in (("open", None), ("open as before", asked.before)):
                if name == "open" or checkout:
                    timed = measured([*opened, str(data)], environment_of(checkout))
                    rows.append({"what": f"{name} the {what}"} | timed)
    measure.show(f"{asked.rows:,} rows, {asked.shards:,} shards", rows)
    measure.write("inspect_data", rows, table_rows=asked.rows, shards=asked.shards, load=os.getloadavg()[0])


if __name__ == "__main__":
    main()
