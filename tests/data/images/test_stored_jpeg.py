"""A shard stores small JPEGs byte for byte, and everything else as a JPEG of bounded size."""

import io

import numpy as np
import pytest
from PIL import Image

from openalign.data.images.decode import decode, encode_jpeg
from openalign.data.images.header import read_header
from openalign.data.images.stored_jpeg import is_stored_unchanged, stored_jpeg


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def stored(data: bytes, side: int) -> bytes:
    return stored_jpeg(data, read_header(data), decode(data, side), side, 90)


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40), (40, 40), (7, 3)])
def test_a_small_jpeg_is_stored_unchanged(height: int, width: int) -> None:
    data = encode_jpeg(picture(height, width), 70)
    assert is_stored_unchanged(read_header(data), 40)
    assert stored(data, 40) is data


@pytest.mark.parametrize(("height", "width"), [(41, 90), (200, 100)])
def test_a_larger_jpeg_is_scaled_to_the_shorter_side(height: int, width: int) -> None:
    header = read_header(stored(encode_jpeg(picture(height, width)), 40))
    assert header.format == "jpeg" and min(header.width, header.height) == 40
    assert header.width / header.height == pytest.approx(width / height, rel=0.02)


def test_another_format_becomes_a_jpeg_of_its_own_size() -> None:
    stream = io.BytesIO()
    Image.fromarray(picture(20, 30)).save(stream, "PNG")
    header = read_header(stored(stream.getvalue(), 40))
    assert (header.format, header.width, header.height) == ("jpeg", 30, 20)
