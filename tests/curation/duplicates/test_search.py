"""Near-duplicates: the hash is the known one, and copies are told from strangers."""

import io
from collections.abc import Callable

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from openalign.curation.duplicates.search import (
    Fingerprints,
    aligned_correlations,
    find_near_duplicates,
)
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.images.fingerprint import perceptual_hash, thumbnails
from openalign.data.images.decode import decode, resize

GREY = np.array([0.299, 0.587, 0.114])


def drawing(seed: int) -> Image.Image:
    """A few shapes on a graded background: the kind of picture that a hash alone confuses."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(220, 400, 2))
    sky, ground = rng.integers(60, 255, (2, 3))
    rows = np.linspace(0, 1, height)[:, None, None]
    image = Image.fromarray(np.broadcast_to(sky * (1 - rows) + ground * rows, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 6))):
        x, y, size = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height, rng.uniform(20, 70)
        shape = (draw.ellipse, draw.rectangle)[int(rng.integers(2))]
        shape((x - size, y - size, x + size, y + size), fill=tuple(int(level) for level in rng.integers(0, 255, 3)))
    return image


def encoded(image: Image.Image, quality: int = 88) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


def fingerprints(images: list[bytes]) -> Fingerprints:
    grey, colours = (np.stack(each) for each in zip(*(thumbnails(decode(image)) for image in images), strict=True))
    return Fingerprints(np.array([perceptual_hash(square) for square in grey]), grey, colours)


def cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = int(image.width * share), int(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "recompressed": lambda image: encoded(image, 35),
    "half the size": lambda image: encoded(image.resize((image.width // 2, image.height // 2))),
    "squeezed": lambda image: encoded(image.resize((image.width, int(image.height * 0.9)))),
    "cropped by 2 % at each side": lambda image: encoded(cropped(image, 0.02)),
    "grey": lambda image: encoded(image.convert("L")),
    "white border": lambda image: encoded(ImageOps.expand(image, 10, "white")),
    "black border": lambda image: encoded(ImageOps.expand(image, 16, "black")),
}
ORIGINALS = [drawing(seed) for seed in range(24)]


def found(corpus: list[bytes], test: list[bytes]) -> dict[int, int]:
    matches = find_near_duplicates(fingerprints(corpus), fingerprints(test), DuplicateSettings())
    return {match.corpus: match.test for match in matches}


@pytest.mark.parametrize("seed", range(5))
def test_perceptual_hash_equals_imagehash_on_the_same_pixels(seed: int) -> None:
    square = np.random.default_rng(seed).integers(0, 255, (32, 32)).astype(np.uint8)
    theirs = imagehash.phash(Image.fromarray(square))
    assert f"{int(perceptual_hash(square)):016x}" == str(theirs)


@pytest.mark.parametrize("seed", range(10))
def test_perceptual_hash_is_within_a_few_bits_of_imagehash_from_the_file_on(seed: int) -> None:
    image = drawing(seed)
    grey = np.rint(resize(np.asarray(image).copy(), 32, 32) @ GREY).astype(np.uint8)
    theirs = int(str(imagehash.phash(image)), 16)
    assert (int(perceptual_hash(grey)) ^ theirs).bit_count() <= 4


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_lead_to_their_original(name: str) -> None:
    copies = [COPIES[name](original) for original in ORIGINALS]
    matches = found(copies, [encoded(original) for original in ORIGINALS])
    # A white border runs into a pale sky, a black one into a dark ground: those are not always seen.
    share = 0.75 if "border" in name else 0.95
    assert sum(matches.get(row) == row for row in range(len(ORIGINALS))) >= share * len(ORIGINALS)


def test_strangers_are_not_found() -> None:
    strangers = [encoded(drawing(seed)) for seed in range(1000, 1120)]
    assert found(strangers, [encoded(original) for original in ORIGINALS]) == {}


def test_of_several_test_images_the_closest_is_named() -> None:
    original = ORIGINALS[0]
    assert found([encoded(original, 80)], [encoded(cropped(original, 0.03)), encoded(original)]) == {0: 1}


def test_nothing_is_found_in_nothing() -> None:
    nothing = Fingerprints(np.empty(0, np.uint64), np.empty((0, 32, 32), np.uint8), np.empty((0, 8, 8, 2), np.int8))
    some = fingerprints([encoded(ORIGINALS[0])])
    all_alike = DuplicateSettings(duplicate_hash_bits=64, duplicate_correlation=-1, duplicate_detail=-1)
    assert find_near_duplicates(some, nothing, all_alike) == []
    assert find_near_duplicates(nothing, some, all_alike) == []


def test_the_same_drawing_in_other_colours_is_another_picture() -> None:
    original = Image.new("RGB", (300, 240), (220, 200, 150))
    ImageDraw.Draw(original).ellipse((80, 60, 200, 180), fill=(120, 90, 60), outline=(0, 0, 0), width=6)
    red, green, blue = original.split()
    recoloured = Image.merge("RGB", (blue, red, green))
    assert found([encoded(recoloured)], [encoded(original)]) == {}
    assert found([encoded(original.convert("L"))], [encoded(original)]) == {0: 0}


def test_alignment_undoes_a_shift_that_plain_correlation_does_not_forgive() -> None:
    rng = np.random.default_rng(0)
    large = Image.fromarray(rng.integers(0, 255, (12, 12, 3)).astype(np.uint8)).resize(
        (320, 320), Image.Resampling.BICUBIC
    )
    one, other = (thumbnails(np.array(large.crop(box)))[0][None] for box in ((0, 0, 300, 300), (16, 16, 316, 316)))
    overall, detail = aligned_correlations(one, other)
    assert plain_correlation(one, other) < 0.6 < 0.97 < float(overall[0])
    assert float(detail[0]) > 0.9


def test_skies_that_pale_alike_agree_overall_and_not_in_their_details() -> None:
    rng = np.random.default_rng(0)
    sky = np.linspace(30, 220, 32)[:, None] + rng.normal(0, 4, (2, 32, 32))
    one, other = np.clip(sky, 0, 255).astype(np.uint8)[:, None]
    overall, detail = aligned_correlations(one, other)
    assert float(overall[0]) > 0.95
    assert float(detail[0]) < 0.5


def test_flat_images_have_no_correlation() -> None:
    flat = np.full((1, 32, 32), 200, np.uint8)
    assert [float(value[0]) for value in aligned_correlations(flat, flat)] == [0, 0]


def plain_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
