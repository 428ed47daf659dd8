"""Images a second that one loader worker of one thread makes ready for training, beside webdataset + Pillow.

    python bench/loader.py --peer-python PYTHON     a Python that has webdataset and open_clip

The same 2,000 JPEGs (shorter side 346 to 400 pixels, quality 90) in the same shards, to batches of 64 at 289 pixels:
ours as in training (resize, random crop, mirror, word pieces; uint8, which the model normalises), the peer as
open_clip's training script ships it (random resized crop, no mirror, normalised float32). Of each pass the first
batches are skipped and the rest is timed; passes alternate, medians count.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import measure
import numpy as np

from openalign.data.images.decode import encode_jpeg, resize
from openalign.data.loading.loader import BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.writer import ShardWriter
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer

COUNT, BATCH, SIDE, SKIPPED = 2_000, 64, 289, 8
PEER = Path(__file__).parent / "peers" / "webdataset_loader.py"


def write_shards(folder: Path) -> float:
    """Write the images, smooth with noise; returns the mean size of one in bytes."""
    sizes = []
    with ShardWriter(folder, samples_per_shard=500) as writer:
        for number in range(COUNT):
            jpeg = _picture(np.random.default_rng(number))
            sizes.append(len(jpeg))
            writer.write(f"{number:09d}", jpeg, f"picture number {number} of a smooth scene with some noise", {})
    return statistics.mean(sizes)


def _picture(draw: np.random.Generator) -> bytes:
    shorter = int(draw.integers(346, 401))
    height, width = (shorter, shorter * 4 // 3) if draw.random() < 0.7 else (shorter * 4 // 3, shorter)
    smooth = resize(draw.integers(0, 256, (9, 12, 3), dtype=np.uint8), height, width)
    noise = draw.normal(0, draw.uniform(2, 6), (height, width, 1))
    return encode_jpeg(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def ours(pairs: Pairs, tokenizer: Tokenizer, seed: int, cache: Path | None = None) -> float:
    """Images a second of one pass."""
    settings = LoaderSettings(batch_size=BATCH, seed=seed, image_size=SIDE, resize_size=346, workers=1)
    loader = BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=COUNT // BATCH, cache=cache)
    began, images = 0.0, 0
    for batch in loader:
        if batch.step == SKIPPED:
            began = time.perf_counter()
        elif batch.step > SKIPPED:
            images += len(batch.images_BHWC)
    return images / (time.perf_counter() - began)


def peer(python: str, shards: Path) -> float:
    command = [python, str(PEER), str(shards), str(SIDE), str(BATCH), str(SKIPPED)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        shards, cache = Path(work, "shards"), Path(work, "cache")
        mean_bytes = write_shards(shards)
        pairs = open_pairs(shards)
        tokenizer = Tokenizer.load(train_tokenizer(pairs.texts(), Path(work, "tokenizer.json"), 5_000))
        ours(pairs, tokenizer, seed=0, cache=cache)  # fills the cache, and the page cache for all
        rates: dict[str, list[float]] = {"openalign": [], "openalign, cached images": [], "webdataset + Pillow": []}
        for seed in range(1, arguments.repeats + 1):
            rates["openalign"].append(ours(pairs, tokenizer, seed))
            rates["webdataset + Pillow"].append(peer(arguments.peer_python, shards))
            rates["openalign, cached images"].append(ours(pairs, tokenizer, seed, cache))
    slow = statistics.median(rates["webdataset + Pillow"])
    rows = [
        {
            "loader": name,
            "images/s, median": statistics.median(each),
            "lowest": min(each),
            "highest": max(each),
            "times the peer": statistics.median(each) / slow,
        }
        for name, each in rates.items()
    ]
    measure.show("One worker, one thread, batches of 64 at 289 pixels", rows)
    versions = subprocess.run(
        [arguments.peer_python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    wanted = ("webdataset=", "open_clip_torch=", "pillow=", "torch=", "torchvision=")
    measure.write(
        "loader",
        rows,
        count=COUNT,
        mean_jpeg_bytes=mean_bytes,
        repeats=rates,
        peer_versions=[line for line in versions if line.startswith(wanted)],
    )


if __name__ == "__main__":
    main()
