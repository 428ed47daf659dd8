"""Embedding on Spark with two local workers beside the same function in one process a core.

    python bench/embed.py

JPEGs of 640 x 480 are made, and a model of the shape EfficientNet-B0 with random weights; each way embeds N of them and
2 N, each time in a fresh process and a new folder, in turns. The difference of the two leaves out what starting takes
(a JVM, loading the model). Needs Java 17. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import show, write
from PIL import Image

WAYS = {"local": "a process a core", "spark": "Spark, local"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024, help="N; twice as many are made.")
    parser.add_argument("--rows", type=int, default=64, help="Images of a partition, on average.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=224, help="Of the model's images, in pixels.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", metavar="ENGINE", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one, options.folder, options.images, options.rows, options.workers)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.images, options.side)
        found: dict[str, dict[int, list[float]]] = {way: {options.images: [], 2 * options.images: []} for way in WAYS}
        for _ in range(options.rounds):
            for way, results in found.items():
                for images, seconds in results.items():
                    seconds.append(in_fresh_process(way, folder, images, options))
    rows = summary(found, options.images)
    show(f"Embedding {options.images:,} and {2 * options.images:,} images, {options.workers} workers", rows)
    settings = {
        "images": options.images,
        "partition_rows": options.rows,
        "workers": options.workers,
        "side": options.side,
    }
    print(f"Wrote {write('embed', rows, **settings, found=found)}")


def summary(found: dict[str, dict[int, list[float]]], images: int) -> list[dict[str, Any]]:
    """A row a way: seconds of both sizes, and the rate between them beside that of the first way."""
    rows: list[dict[str, Any]] = []
    for way, results in found.items():
        small, large = (statistics.median(results[count]) for count in (images, 2 * images))
        row = {"way": WAYS[way], "s for N": round(small, 1), "s for 2 N": round(large, 1)}
        row["images/s"] = round(images / (large - small), 1)
        first = rows[0]["images/s"] if rows else row["images/s"]
        row["overhead %"] = round(100 * (first / row["images/s"] - 1), 1)
        rows.append(row)
    return rows


def make(folder: Path, images: int, side: int) -> None:
    """Photos `N/` and `2N/` (as links) and a model with random weights."""
    from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
    from openalign.model.align import Align, AlignSettings
    from openalign.model.efficientnet.settings import ImageTowerSettings
    from openalign.model.hub import save

    for count in (images, 2 * images):
        (folder / str(count)).mkdir()
    random = np.random.default_rng(0)
    for number in range(2 * images):
        noise = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        path = folder / str(2 * images) / f"{number:06}.jpg"
        Image.fromarray(noise).resize((640, 480)).save(path, quality=90)
        if number < images:
            (folder / str(images) / path.name).hardlink_to(path)
    tokenizer = Tokenizer.load(train_tokenizer(["a red apple"], folder / "tokenizer.json", size=60))
    torch.manual_seed(0)
    settings = AlignSettings(
        image_tower=ImageTowerSettings(), vocabulary=tokenizer.size, image_size=side, resize_size=side * 8 // 7
    )
    save(Align(settings), tokenizer, folder / "model", card="# random weights\n")


def in_fresh_process(way: str, folder: Path, images: int, options: argparse.Namespace) -> float:
    given = ["--one", way, "--folder", folder, "--images", images, "--rows", options.rows, "--workers", options.workers]
    done = subprocess.run(
        [sys.executable, __file__, *map(str, given)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=3600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def run_one(engine: str, folder: Path, images: int, rows: int, workers: int) -> float:
    """Seconds of one call."""
    import openalign

    with tempfile.TemporaryDirectory(dir=folder) as to:
        began = time.perf_counter()
        openalign.embed(
            folder / str(images),
            model=folder / "model",
            to=Path(to, "vectors"),
            engine=engine,
            workers=workers,
            rows=rows,
        )
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
