"""What decoding a JPEG to a smaller scale saves, and how far it moves the vectors of a model.

    python bench/image_decode.py --photos DATA [--model MODEL --data DATA --where split=test]

Evaluation, search and service decode a JPEG at full size, so that a picture is the same vector as its lossless copy;
training decodes to 1/2, 1/4 or 1/8 where that covers the crop. For each size of model the CPU time of one image is
measured both ways, over `--photos` and over made photos of three sizes. With a trained `--model`, the images of
`--data` are embedded both ways: the cosines with the vectors of the lossless pixels, and zero-shot accuracy over the
label column.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from openalign.data.images.decode import decode, encode_jpeg, resize
from openalign.data.images.header import read_header
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.evaluation.run import evaluate
from openalign.model import hub
from openalign.model.hub import AlignEncoder, centre_crop

SIDES = (51, 68, 256, 346)
"""Sides that images are resized to: two small models, a usual one and the paper's."""
MADE = ((480, 640), (1200, 1600), (3024, 4032))
MOST = 400


class ScaledDecode(AlignEncoder):
    """As the model, from the smallest decode that covers its size: what training reads."""

    def prepare(self, image: Any) -> np.ndarray:
        settings = self.model.settings
        pixels = decode(image, min_side=settings.resize_size)
        return centre_crop(pixels, resize_size=settings.resize_size, image_size=settings.image_size)


def made_photo(height: int, width: int) -> bytes:
    """A photo-like JPEG: smooth areas with noise, as bytes."""
    random = np.random.default_rng(0)
    smooth = resize(random.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8), height, width)
    noisy = np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255)
    return encode_jpeg(noisy.astype(np.uint8), 90)


def jpegs_of(pairs: Pairs) -> list[bytes]:
    """The first JPEGs that can be decoded."""
    found: list[bytes] = []
    for row in range(len(pairs)):
        try:
            data = pairs.image_bytes(row)
            if read_header(data).format == "jpeg" and decode(data).size:
                found.append(data)
        except OpenAlignError:
            continue
        if len(found) == MOST:
            break
    return found


def cpu_ms(images: list[bytes], side: int, scaled: bool) -> float:
    """CPU milliseconds to decode and resize one image: the best of three passes, since other work disturbs them."""
    passes = []
    for _ in range(3):
        began = time.process_time()
        for data in images:
            resize(decode(data, min_side=side if scaled else None), side, side)
        passes.append((time.process_time() - began) / len(images) * 1000)
    return min(passes)


def costs(name: str, images: list[bytes]) -> list[dict[str, Any]]:
    rows = []
    for side in SIDES:
        scaled, full = cpu_ms(images, side, True), cpu_ms(images, side, False)
        rows.append(
            {"images": name, "side": side, "scaled ms": scaled, "full ms": full, "full / scaled": full / scaled}
        )
    return rows


def moved(folder: str, data: Pairs, label_column: str) -> dict[str, Any]:
    """How far a scaled decode moves the vectors of a trained model, and its zero-shot accuracy."""
    full = hub.load(folder)
    if not isinstance(full, AlignEncoder):
        raise SystemExit(f"{folder} is not an ALIGN model")
    scaled = ScaledDecode(full.model, full.tokenizer, name=full.name, fingerprint=full.fingerprint)
    images = jpegs_of(data)
    lossless = [decode(image) for image in images]
    by_bytes, by_pixels, by_scaled = (
        encoder.embed_images(forms) for encoder, forms in ((full, images), (full, lossless), (scaled, images))
    )
    same, other = (by_bytes * by_pixels).sum(axis=1), (by_scaled * by_pixels).sum(axis=1)
    top1 = [
        evaluate(encoder, data, protocol="zero-shot", label_column=label_column)["metrics"]["top1"]
        for encoder in (full, scaled)
    ]
    return {
        "resized to": full.model.settings.resize_size,
        "images": len(images),
        "cosine, full: least": float(same.min()),
        "cosine, scaled: least": float(other.min()),
        "scaled: median": float(np.median(other)),
        "top 1, full": top1[0],
        "top 1, scaled": top1[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True)
    parser.add_argument("--model")
    parser.add_argument("--data")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--where", default="split=test")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photos = jpegs_of(open_pairs(arguments.photos, need_text=False))
    sizes = [(read_header(data).width, read_header(data).height) for data in photos]
    middle = sorted(width * height for width, height in sizes)[len(sizes) // 2]
    name = f"{len(photos)} of {Path(arguments.photos).name}, median {middle / 1e6:.2f} MP"
    rows = costs(name, photos)
    for height, width in MADE:
        rows += costs(f"made, {width} x {height}", [made_photo(height, width)] * 3)
    measure.show("CPU time of one image, one thread", rows)
    vectors = []
    if arguments.model:
        column, _, value = arguments.where.partition("=")
        data = open_pairs(arguments.data, need_text=False, where={column: value})
        vectors = [moved(arguments.model, data, arguments.label_column)]
        measure.show("Vectors against those of the lossless pixels", vectors)
    print(measure.write("image_decode", rows, vectors=vectors))


if __name__ == "__main__":
    main()
