"""Format and size are read from the first bytes of an image."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from openalign.data.images.header import ImageHeader, frames_in, read_header

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


@pytest.mark.parametrize("format", ["TIFF", "GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("number", [1, 3])
def test_pages_and_frames_are_counted(format: str, number: int) -> None:
    further = [Image.fromarray(np.roll(PICTURE, 7 * each, 1)) for each in range(1, number)]
    stored = io.BytesIO()
    Image.fromarray(PICTURE).save(stored, format, save_all=True, append_images=further)
    assert frames_in(stored.getvalue()) == number
    assert frames_in(stored.getvalue()[:30]) == 1


def test_a_smaller_version_in_a_tiff_is_no_page() -> None:
    stored = io.BytesIO()
    small = Image.fromarray(PICTURE[::4, ::4])
    small.encoderinfo = {"tiffinfo": {254: 1}}  # type: ignore[attr-defined]
    page = Image.fromarray(PICTURE.transpose(1, 0, 2).copy())
    Image.fromarray(PICTURE).save(stored, "TIFF", save_all=True, append_images=[small, page])
    assert frames_in(stored.getvalue()) == 2


@pytest.mark.parametrize("format", ["JPEG", "BMP"])
def test_other_formats_have_one_frame(format: str) -> None:
    assert frames_in(encoded(format)) == 1
    assert frames_in(b"") == 1
