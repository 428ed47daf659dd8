"""Near-duplicates of test images: how many changed copies are found, and how many strangers are taken for one.

    python bench/near_duplicates.py IMAGES.tar... [--tests 250]

Of each tar so many images, spread over it, are the test set; copies of them, each changed in one way, and all other
images of the tars are the corpus. A copy counts as found when any test image claims it, and as right when that is its
original; any other claim is wrong, though among real images some strangers are the same picture once more. The peer is
imagehash's pHash, 64 bits, compared with every test image, at the distances that people use.
"""

import argparse
import io
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
from measure import show, write
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from openalign.curation.duplicates.search import Fingerprints, find_near_duplicates
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.images.fingerprint import perceptual_hash, thumbnails
from openalign.data.images.decode import decode
from openalign.data.images.header import ImageError

DISTANCES = (6, 8, 10)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut these shares of the sides off."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def bordered(image: Image.Image, share: float, colour: str) -> Image.Image:
    return ImageOps.expand(image, max(1, round(share * min(image.size))), colour)


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG quality 40": lambda image: jpeg(image, 40),
    "half the size": lambda image: jpeg(image.resize((max(1, image.width // 2), max(1, image.height // 2)))),
    "twice the size": lambda image: jpeg(image.resize((image.width * 2, image.height * 2))),
    "squeezed by 10 %": lambda image: jpeg(image.resize((image.width, max(1, round(image.height * 0.9))))),
    "grey": lambda image: jpeg(image.convert("L")),
    "15 % brighter": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.15)),
    "cropped by 2 % a side": lambda image: jpeg(cut(image, 0.02, 0.02, 0.02, 0.02)),
    "cropped by 4 % a side": lambda image: jpeg(cut(image, 0.04, 0.04, 0.04, 0.04)),
    "4 % cut off at two sides": lambda image: jpeg(cut(image, 0.04, 0.04, 0, 0)),
    "white border of 3 %": lambda image: jpeg(bordered(image, 0.03, "white")),
    "black border of 6 %": lambda image: jpeg(bordered(image, 0.06, "black")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tars", nargs="+", type=Path)
    parser.add_argument("--tests", type=int, default=250, help="images of each tar that are the test set")
    options = parser.parse_args()
    tests, strangers = read_all(options.tars, options.tests)
    corpus, originals, changes = list(strangers), [-1] * len(strangers), [""] * len(strangers)
    for number, data in enumerate(tests):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for name, change in CHANGES.items():
            corpus.append(change(image))
            originals.append(number)
            changes.append(name)
    truth, change_of = np.array(originals), np.array(changes)
    rows = []
    for name, claim in ways(tests, corpus):
        began = time.process_time()
        claimed = claim()
        rows.append({"way": name, **scored(claimed, truth, change_of), "CPU s": round(time.process_time() - began, 1)})
    figures = [{"": name, **{row["way"]: row[name] for row in rows}} for name in list(rows[0])[1:]]
    show(f"{len(tests)} test images, {len(CHANGES)} changed copies of each, {len(strangers):,} strangers", figures)
    path = write("near_duplicates", rows, tars=[path.parent.name for path in options.tars], tests=len(tests))
    print(f"Wrote {path}")


def read_all(tars: list[Path], count: int) -> tuple[list[bytes], list[bytes]]:
    """`count` images of each tar, at equal distances, and the rest; without those that cannot be decoded."""
    tests: list[bytes] = []
    strangers: list[bytes] = []
    for path in tars:
        with tarfile.open(path) as tar:
            members = sorted((m for m in tar if m.name.lower().endswith(SUFFIXES)), key=lambda member: member.name)
            images = [tar.extractfile(member).read() for member in members]  # type: ignore[union-attr]
        images = [image for image in images if is_readable(image)]
        chosen = {round(index) for index in np.linspace(0, len(images) - 1, count)}
        tests += [image for index, image in enumerate(images) if index in chosen]
        strangers += [image for index, image in enumerate(images) if index not in chosen]
    return tests, strangers


def is_readable(data: bytes) -> bool:
    try:
        decode(data)
    except ImageError:
        return False
    return True


Claims = NDArray[np.int64]
"""For each image of the corpus the test image that claims it, -1 for none."""


def ways(tests: list[bytes], corpus: list[bytes]) -> list[tuple[str, Callable[[], Claims]]]:
    peers = [(f"pHash, {bits} bits", lambda bits=bits: by_hash(tests, corpus, bits)) for bits in DISTANCES]
    return [("openalign", lambda: ours(tests, corpus)), *peers]


def ours(tests: list[bytes], corpus: list[bytes]) -> Claims:
    claims = np.full(len(corpus), -1)
    for match in find_near_duplicates(fingerprints(corpus), fingerprints(tests), DuplicateSettings()):
        claims[match.corpus] = match.test
    return claims


def fingerprints(images: list[bytes]) -> Fingerprints:
    grey, colours = (np.stack(each) for each in zip(*(thumbnails(decode(image)) for image in images), strict=True))
    return Fingerprints(np.array([perceptual_hash(square) for square in grey]), grey, colours)


def by_hash(tests: list[bytes], corpus: list[bytes], bits: int) -> Claims:
    def hashes(images: list[bytes]) -> NDArray[np.bool_]:
        return np.stack([imagehash.phash(Image.open(io.BytesIO(image))).hash.ravel() for image in images])

    distance_CT = (hashes(corpus)[:, None] != hashes(tests)[None]).sum(2, dtype=np.uint8)
    nearest = distance_CT.argmin(1)
    return np.where(distance_CT.min(1) <= bits, nearest, -1)


def scored(claims: Claims, truth: Claims, change_of: NDArray[np.str_]) -> dict[str, object]:
    right = (claims == truth) & (truth >= 0)
    wrong = (claims >= 0) & ~right
    copies = truth >= 0
    return {
        "recall": round(float(right[copies].mean()), 4),
        "precision": round(float(right.sum() / (right | wrong).sum()), 4),
        "strangers claimed": int((wrong & ~copies).sum()),
        **{name: round(float(right[change_of == name].mean()), 3) for name in CHANGES},
    }


if __name__ == "__main__":
    main()
