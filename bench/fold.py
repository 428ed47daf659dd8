"""Near-duplicates in an index against imagededup: which pairs are found, and in what time.

    python bench/fold.py IMAGES.tar... [--size 50000] [--peer-python PEER/bin/python] [--workers 2]

Of `--size` images a fifth are originals, each with one to three changed copies among them (`near_duplicates.CHANGES`);
the others are strangers. Where the tars have too few, the strangers are cut from images of the tars: a fifth to a
third of a side, from places that overlap little. A pair is right if both come from one image. Strangers that are the
same picture once more count as wrong, for both.

Times are wall-clock seconds on the same JPEG files, of `--workers` processes or threads: `hash s` from file to hash,
decoding included, and `search s` from the hashes to the pairs. An index decodes each image anyway, so that
`beside embedding s` is what folding costs it: the hash of its thumbnail, and the search.
"""

import argparse
import io
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import show, write
from near_duplicates import CHANGES, jpeg, read_all
from PIL import Image

from openalign.data.images.decode import decode, encode_jpeg, shrink
from openalign.search.derived.grouping import closest_before, sketch_of
from openalign.search.prepare import THUMBNAIL_QUALITY, THUMBNAIL_SIDE

PEER = Path(__file__).parent / "peers" / "fold.py"
ORIGINALS = 0.2
MOST_COPIES = 3
Pair = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tars", nargs="+", type=Path)
    parser.add_argument("--size", type=int, default=50_000, help="images in all")
    parser.add_argument("--peer-python", help="Python of an environment with imagededup")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "images"
        truth = make_images(options.tars, options.size, folder)
        rows = [ours(folder, truth, options.workers)]
        versions: dict[str, str] = {}
        if options.peer_python:
            found, versions = peers(options.peer_python, folder, Path(work) / "peer.json", options.workers)
            rows += [figures(way["way"], {tuple(pair) for pair in way["pairs"]}, truth, way) for way in found]
    show(f"{options.size:,} images, {len(truth):,} pairs that are near-duplicates", rows)
    about = {"size": options.size, "pairs": len(truth), "workers": options.workers, "peers": versions}
    print(f"Wrote {write('fold', rows, tars=[path.parent.name for path in options.tars], **about)}")


def make_images(tars: Sequence[Path], size: int, folder: Path) -> set[Pair]:
    """Write the images, and return the pairs of names that are near-duplicates."""
    folder.mkdir()
    random = np.random.default_rng(0)
    tests, others = read_all(list(tars), max(1, round(ORIGINALS * size / len(tars) / 2.5)))
    truth: set[Pair] = set()
    written = 0

    def put(group: str, number: int, data: bytes) -> str:
        nonlocal written
        name = f"{group}-{number}.jpg"
        (folder / name).write_bytes(data)
        written += 1
        return name

    for number, data in enumerate(tests):
        image = Image.open(_file(data)).convert("RGB")
        changes = random.choice(list(CHANGES), random.integers(1, MOST_COPIES + 1), replace=False)
        names = [put(f"{number:06}", 0, jpeg(image))]
        names += [put(f"{number:06}", at, CHANGES[name](image)) for at, name in enumerate(changes, 1)]
        truth |= set(combinations(names, 2))
    for number, data in enumerate(strangers(others, size - written, random)):
        put(f"s{number:06}", 0, data)
    return truth


def strangers(images: Sequence[bytes], count: int, random: np.random.Generator) -> Iterator[bytes]:
    """`count` images of which no two show the same: the images themselves, then pieces of them."""
    yield from images[:count]
    for number in range(max(0, count - len(images))):
        image = Image.open(_file(images[number % len(images)])).convert("RGB")
        share = random.uniform(0.2, 0.33)
        width, height = (max(64, round(share * side)) for side in image.size)
        left, top = (
            int(random.integers(0, max(1, side - piece)))
            for side, piece in zip(image.size, (width, height), strict=True)
        )
        yield jpeg(image.crop((left, top, left + width, top + height)).resize((width * 2, height * 2)))


def ours(folder: Path, truth: set[Pair], workers: int) -> dict[str, Any]:
    """What an index finds, from the files to the pairs of each group."""
    names = sorted(path.name for path in folder.iterdir())
    with ThreadPoolExecutor(workers) as threads:
        began = time.perf_counter()
        thumbnails = list(threads.map(lambda name: thumbnail_of((folder / name).read_bytes()), names))
        decoded = time.perf_counter() - began
        began = time.perf_counter()
        sketches = list(threads.map(sketch_of, thumbnails))
        hashed = time.perf_counter() - began
    kept = {number: sketch for number, sketch in enumerate(sketches) if sketch is not None}
    ids, hashes = np.array(list(kept), np.int64), np.array([each.hash for each in kept.values()], np.int64)
    began = time.perf_counter()
    leader = {number: number for number in range(len(names))}
    for image, earlier in closest_before(ids, hashes, 0, lambda id_: kept[id_].grey, thumbnails.__getitem__):
        leader[image] = leader[earlier]
    searched = time.perf_counter() - began
    groups: dict[int, list[str]] = {}
    for number, first in leader.items():
        groups.setdefault(first, []).append(names[number])
    found = {tuple(sorted(pair)) for group in groups.values() for pair in combinations(group, 2)}
    seconds = {"hash s": decoded + hashed, "search s": searched}
    return figures("openalign", found, truth, seconds) | {"beside embedding s": round(hashed + searched, 2)}


def thumbnail_of(data: bytes) -> bytes:
    return encode_jpeg(shrink(decode(data, THUMBNAIL_SIDE), THUMBNAIL_SIDE), THUMBNAIL_QUALITY)


def figures(way: str, found: set[Any], truth: set[Pair], seconds: dict[str, Any]) -> dict[str, Any]:
    right = len(found & truth)
    precision, recall = right / max(1, len(found)), right / max(1, len(truth))
    total = seconds["hash s"] + seconds["search s"]
    return {
        "way": way,
        "F1": round(2 * precision * recall / max(1e-9, precision + recall), 4),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "hash s": round(seconds["hash s"], 2),
        "search s": round(seconds["search s"], 2),
        "total s": round(total, 2),
        "beside embedding s": round(total, 2),
    }


def peers(python: str, folder: Path, out: Path, workers: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    subprocess.run([python, str(PEER), str(folder), str(out), str(workers)], check=True)
    told = json.loads(out.read_text())
    return told["ways"], told["versions"]


def _file(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


if __name__ == "__main__":
    main()
