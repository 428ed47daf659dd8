"""Pixels of any kind to RGB: orientation undone, transparency blended on white, 16 bits scaled to 8.

The one way to RGB of every picture that is not a plain three-colour JPEG, whether it comes as a file, an image of
Pillow's or an array.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openalign.data.images.header import MAX_PIXELS, TOO_MANY_PIXELS, ImageError, without_warnings

_EXIF_ORIENTATION = 0x0112
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's mode of an array, by its number of channels."""


def check_size(width: int, height: int) -> None:
    """Raise `ImageError` for an image without pixels or with more than `MAX_PIXELS`."""
    if width < 1 or height < 1:
        raise ImageError(f"{width} x {height} has no pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} is {TOO_MANY_PIXELS}")


def rgb_of_pillow(image: Image.Image) -> NDArray[np.uint8]:
    """An image of Pillow's, of any mode, as a viewer shows it -> RGB (H, W, 3).

    Raises:
        ImageError: too many pixels, or floating-point pixels, or ones of 32 bits. Pillow's exceptions pass if it cannot
            read its file.
    """
    with without_warnings():
        check_size(*image.size)
        image.load()
        check_size(*image.size)  # a HEIC file may hold more than its header says
        return upright(_without_orientation(image), orientation_of(image))


def rgb_of_array(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """An array (H, W) or (H, W, C) -> RGB (H, W, 3); C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).

    Values are bool, uint8 (0 to 255) or uint16 (0 to 65,535).

    Raises:
        ImageError: another shape or type, no pixels or too many.
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in _MODES or pixels.dtype.name not in ("bool", "uint8", "uint16"):
        raise ImageError(
            "an image array must be uint8, uint16 or bool of shape (H, W) or (H, W, C) with 1 to 4 channels, not "
            f"{pixels.dtype} {pixels.shape}"
        )
    check_size(pixels.shape[1], pixels.shape[0])
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    eight_bits = (
        pixels.astype(np.uint8) if pixels.dtype.itemsize == 1 else (pixels.astype(np.uint16) >> 8).astype(np.uint8)
    )
    if channels == 3:
        return np.ascontiguousarray(eight_bits)
    flat = eight_bits[:, :, 0] if pixels.ndim == 3 and channels == 1 else eight_bits
    return _without_orientation(Image.fromarray(np.ascontiguousarray(flat), _MODES[channels]))


def orientation_of(image: Image.Image, absent: int = 1) -> int:
    """The orientation (1 to 8) in the metadata of an image; `absent` if it has none or a malformed one."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, absent))
    except Exception:  # malformed metadata: take the pixels as stored
        return absent


def upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the EXIF orientation (1 to 8) of (H, W, 3)."""
    if orientation in (2, 3, 4, 5, 6, 7, 8):
        if orientation in (5, 6, 7, 8):
            image = image.transpose(1, 0, 2)
        if orientation in (3, 4, 7, 8):
            image = image[::-1]
        if orientation in (2, 3, 6, 7):
            image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _without_orientation(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise ImageError("floating-point pixels, whose range is not known: save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits per pixel, which Pillow's own conversion would clip at 255
        return _rgb_of_16_bits(image)
    if image.mode == "La":  # premultiplied, which Pillow only converts to the plain one
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(image.convert("RGB"))


def _rgb_of_16_bits(image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ImageError("pixels of 32 bits, whose range is not known: save it with 8 or 16 bits")
    grey = (values >> 8).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)
