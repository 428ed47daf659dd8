"""Inspection of one image: measured, fingerprinted, and made the JPEG that a shard will hold.

Importing this module imports torch, which takes over a second: processes do so when they get their first image. The
helper process does so before the time of its first image counts.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch  # noqa: F401 - resampling imports it

from openalign.curation.images.fingerprint import perceptual_hash, thumbnails
from openalign.curation.images.settings import StorageSettings
from openalign.curation.isolation.time_limit import call_with_time_limit
from openalign.data.images.decode import decode
from openalign.data.images.frames import frames_in
from openalign.data.images.header import ImageError, read_header
from openalign.data.images.stored_jpeg import is_stored_unchanged, stored_jpeg

_SMALLEST_DECODED = 128  # px of the shorter side of an image that is only measured

# Limits of images that are decoded in about a second at most; pixels of all scans.
_QUICK_BYTES, _QUICK_PIXELS = 4 << 20, 64_000_000
_QUICK_FORMATS = ("jpeg", "png", "gif", "webp", "bmp")
_START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class Inspection:
    """What was found out about one image; `stored` is the JPEG to keep, None when none was asked for."""

    sha256: str
    problem: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    hash: int | None = None
    thumbnail: bytes | None = None
    colours: bytes | None = None
    frames: int | None = None
    stored: bytes | None = None


def inspect_image(data: bytes, wanted: bool, seconds: float, storage: StorageSettings) -> Inspection:
    """Inspect the bytes of one image; `wanted` asks for a JPEG to store. What is wrong with them is its `problem`.

    An image that cannot be decoded has no size either, whatever its header claims. One that may take long is inspected
    in the helper process of `isolation.time_limit`. Raises RecordError if that takes more than `seconds` of CPU time.
    """
    if _is_quick(data):
        return inspect_here(data, wanted, storage)
    return call_with_time_limit(inspect_here, data, wanted, storage, seconds=seconds, setting="image_seconds")


def _is_quick(data: bytes) -> bool:
    """Whether decoding takes about a second at most, by size and format alone."""
    if len(data) > _QUICK_BYTES:
        return False
    try:
        header = read_header(data)
    except ImageError:
        return True  # it is decoded no further
    # Each scan of a JPEG goes over all its pixels, and a marker starts each.
    times = max(1, data.count(_START_OF_SCAN)) if header.format == "jpeg" else 1
    return header.format in _QUICK_FORMATS and header.width * header.height * times <= _QUICK_PIXELS


def inspect_here(data: bytes, wanted: bool, storage: StorageSettings) -> Inspection:
    """`inspect_image` in this process, however long it takes."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header = read_header(data)
        encoded = wanted and not is_stored_unchanged(header, storage.stored_shorter_side)
        pixels = decode(data, storage.stored_shorter_side if encoded else _SMALLEST_DECODED)
    except ImageError as error:
        return Inspection(sha256, error.reason)
    grey, colours = thumbnails(pixels)
    stored = None
    if wanted:
        stored = stored_jpeg(data, header, pixels, storage.stored_shorter_side, storage.jpeg_quality)
    return Inspection(
        sha256,
        None,
        header.format,
        header.width,
        header.height,
        hash=int(np.uint64(perceptual_hash(grey)).astype(np.int64)),
        thumbnail=grey.tobytes(),
        colours=colours.tobytes(),
        frames=frames_in(data),
        stored=stored,
    )
