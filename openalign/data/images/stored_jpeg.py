"""What a curated shard stores of an image: a JPEG with a bounded shorter side, if possible the file's own bytes."""

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.decode import encode_jpeg, shrink
from openalign.data.images.header import ImageHeader


def is_stored_unchanged(header: ImageHeader, shorter_side: int) -> bool:
    """Whether the file is stored as it is: a JPEG whose shorter side has at most `shorter_side` pixels."""
    return header.format == "jpeg" and min(header.width, header.height) <= shorter_side


def stored_jpeg(data: bytes, header: ImageHeader, pixels: NDArray[np.uint8], shorter_side: int, quality: int) -> bytes:
    """The JPEG to store for the file `data`: unchanged, or its `pixels` (H, W, 3) scaled down and encoded.

    `pixels` must be decoded with `min_side=shorter_side` or more, unless the file is stored unchanged.
    Raises `ImageError` if a side is longer than a JPEG may be.
    """
    if is_stored_unchanged(header, shorter_side):
        return data
    return encode_jpeg(shrink(pixels, shorter_side), quality)
