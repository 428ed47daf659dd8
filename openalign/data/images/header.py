"""Format and size of an image from its first bytes, without decoding it."""

import io
import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from openalign.data.files.damage import what_it_is
from openalign.data.images.formats import FORMATS, ImageFormat, format_of, shown_format
from openalign.data.images.jpeg_segments import has_too_much_exif, jpeg_frame
from openalign.data.images.raw_preview import is_raw, raw_preview
from openalign.errors import OpenAlignError

MAX_PIXELS = 100_000_000
"""Larger images are refused before decoding: a file of a few kilobytes could expand to 300 MB of RGB and more."""

TOO_MANY_PIXELS = f"more than {MAX_PIXELS // 10**6} million pixels"

Image.init()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # problems of an image are reported as `ImageError` only
_HEIF = "HEIF"
"""Pillow's name for what its plugin `pillow_heif` opens."""
_PILLOW_FORMATS = [name for each in FORMATS for name in each.pillow if name in Image.OPEN and name != _HEIF]


class ImageError(OpenAlignError):
    """These bytes are not a usable image; `reason` is a few words, such as "truncated JPEG"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class ImageHeader:
    """The format in lower case, and width and height in pixels as stored; of a RAW file those of its preview."""

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
        preview = raw_preview(data)
        return ImageHeader("raw", preview.frame.width, preview.frame.height) if preview else _pillow_header(data)
    try:
        width, height = _SIZES[known.name](data)
    except (struct.error, IndexError):
        raise ImageError(f"truncated {known.shown}") from None
    except ValueError:
        raise ImageError(f"damaged {known.shown}") from None
    if width < 1 or height < 1:
        raise ImageError(f"{known.shown} without pixels")
    return ImageHeader(known.name, width, height)


def open_with_pillow(data: bytes) -> Image.Image:
    """An image whose pixels are not read yet. Pillow's exceptions pass."""
    known = format_of(data)
    is_heif = known is not None and known.pillow == (_HEIF,) and known.is_decoded
    with without_warnings():
        if is_heif:
            _register_heif()
        return Image.open(io.BytesIO(data), formats=[_HEIF, *_PILLOW_FORMATS] if is_heif else _PILLOW_FORMATS)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore what Pillow and its plugins warn of, which is damage to an image."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL|pillow_heif")
        yield


@lru_cache(maxsize=1)
def _register_heif() -> None:
    """Let Pillow open HEIC, without the pictures beside the main one."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _pillow_header(data: bytes) -> ImageHeader:
    try:
        with open_with_pillow(data) as image:
            name = "heic" if image.format == _HEIF else (image.format or "image").lower()
            return ImageHeader(name, image.width, image.height)
    except Image.DecompressionBombError:
        raise ImageError(TOO_MANY_PIXELS) from None
    except Exception:  # Pillow's plugins raise most of the built-in exceptions on damaged bytes
        known = format_of(data)
        raise ImageError(_why_unopened(data, known)) from None


def _why_unopened(data: bytes, known: ImageFormat | None) -> str:
    if known is None:
        what = what_it_is(data)
        return what.removeprefix("it is ") if "LFS" in what else "not a raster image"
    if is_raw(data):
        return f"{shown_format('raw')} without a preview"
    if not known.is_decoded:
        return known.why_not
    if known.extra:
        return f"truncated or damaged {known.shown}"
    return "not a raster image"


def _jpeg_size(data: bytes) -> tuple[int, int]:
    frame = jpeg_frame(data)
    if has_too_much_exif(data):
        raise ImageError("JPEG with too many blocks of EXIF")
    return frame.width, frame.height


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
