"""Whether each of many reads, by many threads out of more shards than are held open, gives the image that was written.

    python bench/shard_reads.py [--reads 10000000] [--threads 40] [--shards 300]

The images are random bytes, 100 to 1,000 of them, so that those of another image are never taken for right. Each read's
bytes are compared with the digest of what was written; the store's own check is off, else it would find them first.
Threads take turns 500 times as often as Python lets them by default, which makes races likelier.
"""

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import measure

from openalign.data.files.open_files import _MOST_OPEN
from openalign.data.shards.index import read_index
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.sidecar import digest_of
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError

PER_SHARD, SWITCH_S = 4, 1e-5


@dataclass
class Count:
    """What the reads of a thread came to."""

    reads: int = 0
    wrong: int = 0
    errors: int = 0


def write_shards(folder: Path, shards: int) -> list[bytes]:
    """Write the images; returns the digest of each."""
    draw = random.Random(0)
    digests = []
    with ShardWriter(folder, PER_SHARD) as writer:
        for number in range(shards * PER_SHARD):
            image = draw.randbytes(draw.randint(100, 1000))
            digests.append(digest_of(image))
            writer.write(f"{number:09d}", image, "", {})
    return digests


def read(images: ShardImages, digests: list[bytes], reads: int, seed: int) -> Count:
    draw, count = random.Random(seed), Count()
    for _ in range(reads):
        row = int(draw.random() * len(digests))
        count.reads += 1
        try:
            count.wrong += digest_of(images.image_bytes(row)) != digests[row]
        except OpenAlignError:
            count.errors += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reads", type=int, default=10_000_000)
    parser.add_argument("--threads", type=int, default=40)
    parser.add_argument("--shards", type=int, default=300)
    arguments = parser.parse_args()
    share = -(-arguments.reads // arguments.threads)
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(arguments.threads) as threads:
        digests = write_shards(Path(work), arguments.shards)
        tars = sorted(Path(work).glob("*.tar"))
        images = ShardImages.of(tars, [read_index(tar) for tar in tars]).checked_every(sys.maxsize)
        began = time.perf_counter()
        counts = list(threads.map(lambda seed: read(images, digests, share, seed), range(1, arguments.threads + 1)))
        took = time.perf_counter() - began
    row = {
        "shards": arguments.shards,
        "held open": _MOST_OPEN,
        "threads": arguments.threads,
        "reads": sum(count.reads for count in counts),
        "wrong bytes": sum(count.wrong for count in counts),
        "errors": sum(count.errors for count in counts),
        "reads/s": sum(count.reads for count in counts) / took,
    }
    measure.show("Reads of small images from shards", [row])
    measure.write("shard_reads", [row])


if __name__ == "__main__":
    main()
