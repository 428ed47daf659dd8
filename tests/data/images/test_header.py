"""Format and size are read from the first bytes of an image."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from openalign.data.images.header import ImageHeader, read_header

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
PICTURE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


def encoded(format: str, image: NDArray[np.uint8] = PICTURE, mode: str = "RGB", **options: object) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(image).convert(mode).save(stored, format, **options)
    return stored.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_the_header_has_format_and_size_without_the_rest_of_the_file(format: str) -> None:
    whole = encoded(format)
    start = whole if format == "TIFF" else whole[:700]  # TIFF may keep its directory at the end
    assert read_header(start) == ImageHeader(format.lower(), 120, 90)


@pytest.mark.parametrize(("options", "size"), [({"lossless": True}, (120, 90)), ({"exif": Image.Exif()}, (120, 90))])
def test_header_reads_every_kind_of_webp(options: dict[str, object], size: tuple[int, int]) -> None:
    header = read_header(encoded("WEBP", mode="RGBA", **options))
    assert (header.width, header.height) == size
