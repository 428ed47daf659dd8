"""Untrusted image bytes to RGB arrays: read the header, decode safely, resize, encode.

JPEG goes through simplejpeg (libjpeg-turbo, decoding straight to a smaller scale), everything else through Pillow.
Malformed bytes raise an `ImageError` with a short reason; no other exception and no warning escapes.
"""

import struct

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from openalign.data.images.formats import shown_format
from openalign.data.images.header import TOO_MANY_PIXELS, ImageError, open_with_pillow, read_header, without_warnings
from openalign.data.images.raw_preview import raw_preview
from openalign.data.images.rgb import check_size, orientation_of, rgb_of_pillow, upright

_LONGEST_JPEG_SIDE = 65_500
"""Limit of libjpeg's encoder, in pixels."""


def decode(data: bytes, min_side: int | None = None) -> NDArray[np.uint8]:
    """Decode to RGB, (H, W, 3): EXIF orientation applied, transparency blended on white, first frame of an animation.

    `min_side` allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as the shorter side keeps at least so
    many pixels, which is up to twice as fast; what is resized from that differs from what a full decode gives.
    Raises `ImageError` (empty, not a raster image, truncated, damaged, more than `MAX_PIXELS` pixels).
    """
    header = read_header(data)
    check_size(header.width, header.height)
    if header.format == "jpeg":
        return _decode_jpeg(data, min_side or 0)
    if header.format == "raw":
        return _decode_preview(data, min_side or 0)
    return _decode_with_pillow(data, header.format)


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resample (H, W, 3) to (height, width, 3), bilinear and antialiased; the aspect ratio may change.

    Equal to Pillow's bilinear within one grey level, and several times as fast on one core.
    """
    if image.shape[:2] == (height, width):
        return image
    import torch  # takes over a second: only where pixels are resampled

    writeable = image if image.flags.writeable else image.copy()
    # With a batch axis in front the strides are those of channels_last, whose kernel is three times as fast.
    channels_last = torch.from_numpy(writeable)[None].permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(channels_last, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


def shrink(image: NDArray[np.uint8], shorter_side: int) -> NDArray[np.uint8]:
    """Scale (H, W, 3) down, keeping the aspect ratio, to a shorter side of at most `shorter_side` pixels."""
    height, width = image.shape[:2]
    scale = shorter_side / min(height, width)
    return image if scale >= 1 else resize(image, round(height * scale), round(width * scale))


def encode_jpeg(image: NDArray[np.uint8], quality: int = 90) -> bytes:
    """Encode RGB (H, W, 3) as a JPEG file. Raises `ImageError` if a side is too long for a JPEG."""
    if max(image.shape[:2]) > _LONGEST_JPEG_SIDE:
        raise ImageError(
            f"{image.shape[1]} x {image.shape[0]} is more than the {_LONGEST_JPEG_SIDE} px a JPEG can have"
        )
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorsubsampling="420")
    return encoded


def _decode_jpeg(data: bytes, min_side: int) -> NDArray[np.uint8]:
    try:
        # On damaged bytes the decoder may find another size than `read_header`.
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        check_size(width, height)
        if colours in ("CMYK", "YCCK"):  # libjpeg-turbo rounds its way to RGB differently from Pillow
            return _decode_with_pillow(data, "jpeg")
        height, width = _scaled_size(height, width, min_side)
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, min_height=height, min_width=width, strict=True)
    except ImageError:
        raise
    except Exception as error:
        if "premature" in str(error).lower():
            raise ImageError("truncated JPEG") from None
        # A harmless irregularity that strict decoding reports: leave it to Pillow.
        return _decode_with_pillow(data, "jpeg")
    return upright(image, _jpeg_orientation(data))


def _decode_preview(data: bytes, min_side: int) -> NDArray[np.uint8]:
    """The preview of a RAW file, turned as it says itself, or else as the RAW file does."""
    preview = raw_preview(data)
    if preview is None:
        raise ImageError(f"{shown_format('raw')} without a preview")
    jpeg = data[preview.start :]
    try:
        read_header(jpeg)
        image = _decode_jpeg(jpeg, min_side)
    except ImageError as error:
        raise ImageError(f"{error.reason} in {shown_format('raw')}") from None
    return image if _jpeg_orientation(jpeg, absent=0) else upright(image, preview.orientation)


def _scaled_size(height: int, width: int, min_side: int) -> tuple[int, int]:
    """Height and width to decode a JPEG to: 1, 1/2, 1/4 or 1/8 of its size, not below `min_side`; (0, 0): full size.

    libjpeg-turbo also scales by other eighths, but slowly: decoding at full size is faster than at 5/8, 6/8 or 7/8.
    """
    if not min_side:
        return 0, 0
    divisor = next((each for each in (8, 4, 2) if min(height, width) / each >= min_side), 1)
    return -(-height // divisor), -(-width // divisor)


def _decode_with_pillow(data: bytes, name: str) -> NDArray[np.uint8]:
    try:
        with open_with_pillow(data) as opened:
            return rgb_of_pillow(opened)  # its size may differ from that of `read_header` on damaged bytes
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise most of the built-in exceptions on damaged bytes
        raise ImageError(_pillow_reason(error, data, name)) from None


def _pillow_reason(error: Exception, data: bytes, name: str) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return TOO_MANY_PIXELS
    ran_out = isinstance(error, EOFError | struct.error | IndexError) or "truncated" in str(error).lower()
    return f"{'truncated' if ran_out or _lacks_end(data, name) else 'damaged'} {shown_format(name)}"


def _lacks_end(data: bytes, name: str) -> bool:
    """Whether a file that could not be decoded lacks the end marker of its format, so that it is truncated."""
    if name == "webp":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    end_markers = {"png": b"IEND", "gif": b"\x3b"}
    return name in end_markers and end_markers[name] not in data[-16:]


def _jpeg_orientation(data: bytes, absent: int = 1) -> int:
    """As Pillow finds it, in EXIF or else in XMP; most files have neither, which a search for both tells soonest."""
    if b"Exif\0\0" not in data and b"tiff:Orientation" not in data:
        return absent
    try:
        with open_with_pillow(data) as opened, without_warnings():
            return orientation_of(opened, absent)
    except Exception:  # Pillow's reader refuses what the decoder has read: take the pixels as stored
        return absent
