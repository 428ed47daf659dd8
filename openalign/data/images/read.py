"""A picture in any form that a program holds it in -> RGB pixels; the same picture gives the same pixels.

Everything that a model embeds for evaluation, search, service or classification goes through `read_image`.
"""

import re
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openalign.data.files.image_value import Form, form_of, local_path
from openalign.data.files.json_files import check_file
from openalign.data.images.decode import decode
from openalign.data.images.header import ImageError
from openalign.data.images.rgb import rgb_of_array, rgb_of_pillow
from openalign.errors import OpenAlignError

ImageInput = str | Path | bytes | bytearray | memoryview | Image.Image | NDArray[np.generic]
"""A path or `file://` URL, the bytes of a file, an image of Pillow's, or an array (see `rgb.rgb_of_array`)."""

MOST_IMAGE_BYTES = 2**29
"""Largest image file that is read; 100 million pixels, the most that are decoded, are 400 MB uncompressed."""

_URL = re.compile(r"file:/|[A-Za-z][A-Za-z0-9+.-]+://", re.IGNORECASE)
_LOADING = [Lock() for _ in range(64)]
"""Pillow reads a file when its pixels are first used, which two threads must not do at once for one image."""


def read_image(image: ImageInput) -> NDArray[np.uint8]:
    """The pixels of a picture as a viewer shows it: RGB, uint8 (H, W, 3), at full size.

    Orientation is undone, transparency lies on white, 16 bits are scaled to 8, palettes, grey and CMYK become RGB, and
    an animation gives its first frame (an image of Pillow's: its current frame).

    Raises:
        OpenAlignError: the file is missing, too large, not a regular file (a FIFO, a device) or not an image, with its
            path; `ImageError` for input without a path.
    """
    if isinstance(image, str) and _URL.match(image):
        return _read_file(Path(_local_path(image)))
    if isinstance(image, str | Path):
        return _read_file(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image))
    if isinstance(image, Image.Image):
        return _read_pillow(image)
    if isinstance(image, np.ndarray):
        return rgb_of_array(image)
    raise ImageError(
        f"an image must be a path, bytes, an image of Pillow's or a NumPy array, not {type(image).__name__}"
    )


def _local_path(url: str) -> str:
    if form_of(url) is not Form.FILE_URL:
        raise OpenAlignError(f"{url}: is an address, not a file: fetch it, and give its path or its bytes.")
    return local_path(url)


def _read_file(path: Path) -> NDArray[np.uint8]:
    check_file(path, MOST_IMAGE_BYTES)
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror}).") from None
    except OpenAlignError as error:
        raise OpenAlignError(f"{path}: {error}") from None


def _read_pillow(image: Image.Image) -> NDArray[np.uint8]:
    try:
        with _LOADING[id(image) // 64 % len(_LOADING)]:
            image.load()
        return rgb_of_pillow(image)
    except OpenAlignError:
        raise
    except Exception:  # Pillow's decoders raise most of the built-in exceptions on damaged bytes
        name = getattr(image, "filename", "") or "an image of Pillow's"
        raise ImageError(f"{name} is closed, truncated or damaged") from None
