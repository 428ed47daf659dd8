"""Format and size of an image from its first bytes, without decoding it."""

import io
import logging
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from openalign.data.files.damage import what_it_is
from openalign.data.images.formats import FORMATS, format_of
from openalign.errors import OpenAlignError

MAX_PIXELS = 100_000_000
"""Larger images are refused before decoding: a file of a few kilobytes could expand to 300 MB of RGB and more."""

TOO_MANY_PIXELS = f"more than {MAX_PIXELS // 10**6} million pixels"

Image.init()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # problems of an image are reported as `ImageError` only
_PILLOW_FORMATS = [name for each in FORMATS for name in each.pillow if name in Image.OPEN]


class ImageError(OpenAlignError):
    """These bytes are not a usable image; `reason` is a few words, such as "truncated JPEG"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class ImageHeader:
    """The format in lower case, and width and height in pixels as stored."""

    format: str
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader:
    """Read format and size from the first bytes; the pixels are neither decoded nor checked, however many they are.

    Raises `ImageError` if the bytes are empty, not a raster image, or end within the header.
    """
    if not data:
        raise ImageError("empty file")
    known = next((each for each in FORMATS if each.signature and data.startswith(each.signature)), None)
    if known is None:
        return _pillow_header(data)
    try:
        width, height = _SIZES[known.name](data)
    except (struct.error, IndexError):
        raise ImageError(f"truncated {known.shown}") from None
    if width < 1 or height < 1:
        raise ImageError(f"{known.shown} without pixels")
    return ImageHeader(known.name, width, height)


def open_with_pillow(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        return Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)


def _pillow_header(data: bytes) -> ImageHeader:
    try:
        with open_with_pillow(data) as image:
            return ImageHeader((image.format or "image").lower(), image.width, image.height)
    except Image.DecompressionBombError:
        raise ImageError(TOO_MANY_PIXELS) from None
    except Exception:  # Pillow's plugins raise most of the built-in exceptions on damaged bytes
        known = format_of(data)
        if known is not None and not known.pillow:
            raise ImageError(f"{known.shown} is not supported") from None
        what = what_it_is(data)
        raise ImageError(what.removeprefix("it is ") if "LFS" in what else "not a raster image") from None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments to the first start-of-frame; SOF markers are C0..CF without DHT (C4), JPG (C8), DAC (CC)."""
    position = 2
    while True:
        while data[position] == 0xFF and data[position + 1] == 0xFF:  # padding
            position += 1
        marker = data[position + 1]
        if data[position] != 0xFF or marker in (0xD9, 0xDA):
            raise ImageError("damaged JPEG")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 2 if 0xD0 <= marker <= 0xD8 or marker == 0x01 else 2 + max(2, _u16(data, position + 2))


def _u16(data: bytes, position: int) -> int:
    value: int = struct.unpack_from(">H", data, position)[0]
    return value


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:  # OS/2
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # a negative height means rows from the top


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[8:16]
    if chunk == b"WEBPVP8X":
        width_low, width_high, height_low, height_high = struct.unpack_from("<HBHB", data, 24)
        return width_low + (width_high << 16) + 1, height_low + (height_high << 16) + 1
    if chunk == b"WEBPVP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ImageError("not a raster image" if len(chunk) == 8 else "truncated WebP")


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "jpeg": _jpeg_size,
    "png": _png_size,
    "gif": _gif_size,
    "bmp": _bmp_size,
    "webp": _webp_size,
}
"""Readers of width and height, for the formats with a `signature`."""
