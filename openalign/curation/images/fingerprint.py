"""The fingerprint of an image, for near-duplicates: a perceptual hash, a grey and a colour thumbnail."""

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.decode import resize, shrink

SIDE = 32
"""Side of a grey thumbnail, in pixels."""
COLOUR_SIDE = 8
"""Side of a colour thumbnail, in pixels."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CHROMA = np.array([[-0.168736, 0.5], [-0.331264, -0.418688], [0.5, -0.081312]], np.float32)  # to Cb, Cr
_FREQUENCIES = 8
_SHRUNK = 128  # px of the shorter side from which a thumbnail is made; finer detail does not survive to 32 px
_BORDER_SHARE = 0.1  # of a side: the widest plain border that is cut off at each edge
_BORDER_LEVELS = 12  # grey levels; JPEG's noise in a plain border


def thumbnails(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Grey (32, 32) and colour (8, 8, 2) of an RGB (H, W, 3) image, stretched to a square, without a plain border."""
    small = shrink(image, _SHRUNK)
    top, bottom, left, right = _without_border((small @ _LUMA).astype(np.int16))
    square = resize(np.ascontiguousarray(small[top:bottom, left:right]), SIDE, SIDE)
    colour = resize(square, COLOUR_SIDE, COLOUR_SIDE) @ _CHROMA
    return np.asarray(np.rint(square @ _LUMA), np.uint8), np.asarray(np.rint(colour).clip(-128, 127), np.int8)


def perceptual_hash(square: NDArray[np.uint8]) -> np.uint64:
    """64 bits of a grey (32, 32) image: which of its 8 x 8 lowest DCT coefficients lie above their median."""
    coefficients = _DCT @ square.astype(np.float64) @ _DCT.T
    bits = (coefficients > np.median(coefficients)).ravel()
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes()))


def _without_border(grey: NDArray[np.int16]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of (H, W) without the plain border that copies are often given."""
    height, width = grey.shape
    top, bottom = _plain_lines(grey), height - _plain_lines(grey[::-1])
    return top, bottom, _plain_lines(grey.T), width - _plain_lines(grey.T[::-1])


def _plain_lines(grey: NDArray[np.int16]) -> int:
    """The number of lines from the first that are a border: one level, then a sharp edge, unlike a sky that fades."""
    lines = grey[: int(len(grey) * _BORDER_SHARE) + 2]
    differences = np.abs(lines - np.median(lines[0])).max(axis=1)
    plain = int(np.argmax(differences > _BORDER_LEVELS))  # 0 if all lines are plain: a background, not a border
    # JPEG blurs the edge into the first line after it, so the next line is compared as well.
    return plain if differences[plain : plain + 2].max() > 3 * _BORDER_LEVELS else 0


def _dct(size: int, count: int) -> NDArray[np.float64]:
    """The first `count` rows of the DCT-II of `size` points, unnormalised as in scipy.fftpack."""
    position, frequency = np.arange(size), np.arange(count)[:, None]
    return np.asarray(2 * np.cos(np.pi * frequency * (2 * position + 1) / (2 * size)), np.float64)


_DCT = _dct(SIDE, _FREQUENCIES)
