"""`openalign inspect` on large data: a table of five million rows, and a thousand shards.

    python bench/inspect_data.py [--rows 5000000] [--shards 1000]

Makes both in a temporary folder, runs the command on each in a process of its own, and prints the seconds, the seconds
of processor time and the memory at its peak, beside those of opening the same table as commands do.
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
from pathlib import Path

import measure
from PIL import Image

from openalign.data.shards.writer import ShardWriter

WORDS = ("a", "red", "green", "apple", "boat", "house", "near", "water", "with", "two", "old", "shoe", "of", "on")
OPENING = "import sys; from openalign.data.pairs import open_pairs; print(len(open_pairs(sys.argv[1])))"


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


def measured(command: list[str]) -> dict[str, float]:
    """Wall and processor seconds and the peak memory in MB of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.perf_counter() - start, 2), "processor_seconds": round(processor, 2)}


def peak_memory(command: list[str]) -> float:
    """Peak memory of a command in MB, by a parent of its own, since the peak of children is that of all so far."""
    child = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    child += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)"
    done = subprocess.run([sys.executable, "-c", child, *command], check=True, capture_output=True, text=True)
    return round(float(done.stdout))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--shards", type=int, default=1_000)
    asked = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        table, shards = Path(folder) / "table.csv", Path(folder) / "shards"
        write_table(table, asked.rows)
        write_shards(shards, asked.shards)
        inspect = [sys.executable, "-m", "openalign", "inspect"]
        opened = [sys.executable, "-c", OPENING]
        for name, command, data in (
            ("inspect the table", inspect, table),
            ("open the table", opened, table),
            ("inspect the shards", inspect, shards),
            ("open the shards", opened, shards),
        ):
            rows.append(
                {"what": name} | measured([*command, str(data)]) | {"peak_MB": peak_memory([*command, str(data)])}
            )
    measure.show(f"{asked.rows:,} rows, {asked.shards:,} shards", rows)
    measure.write("inspect_data", rows, table_rows=asked.rows, shards=asked.shards, load=os.getloadavg()[0])


if __name__ == "__main__":
    main()
