"""HEIC, as phones store photos: decoded with the extra `photos`, and what is said without it."""

import io
import sys
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from openalign.data.images import header
from openalign.data.images.decode import decode
from openalign.data.images.formats import FORMATS, format_of, reading_advice, suffix_of
from openalign.data.images.header import ImageError, ImageHeader, read_header
from openalign.data.images.photo import photo_facts
from openalign.data.images.read import read_image
from openalign.data.images.rgb import upright
from openalign.data.pairs import folder_files
from openalign.data.pairs.open import open_pairs

RED, GREEN, BLUE = (250, 10, 10), (10, 250, 10), (10, 10, 250)


def picture() -> Image.Image:
    """64 wide, 32 high: red above green, with a blue left half below."""
    pixels = np.full((32, 64, 3), RED, np.uint8)
    pixels[16:] = GREEN
    pixels[16:, :32] = BLUE
    return Image.fromarray(pixels)


def heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    stream = io.BytesIO()
    image.save(stream, "HEIF", quality=90, **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    written = Image.Exif()
    written[ExifTags.Base.Orientation] = orientation
    written.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:17 14:03:22"
    return written.tobytes()


HEIC = heic(picture())


def test_a_heic_is_recognised_measured_and_decoded():
    found = format_of(HEIC)
    assert found is not None and found.name == "heic" and found.is_decoded
    assert read_header(HEIC) == ImageHeader("heic", 64, 32)
    assert suffix_of("heic") == "heic"
    np.testing.assert_allclose(decode(HEIC).astype(int), np.asarray(picture()).astype(int), atol=40)
    np.testing.assert_array_equal(read_image(HEIC), decode(HEIC))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once(orientation):
    data = heic(picture(), exif=exif(orientation))
    expected = upright(np.asarray(picture()), orientation).astype(int)
    np.testing.assert_allclose(decode(data).astype(int), expected, atol=40)
    assert photo_facts(data).date == "2024-05-17T14:03:22"


def test_transparency_lies_on_white_and_more_bits_are_scaled():
    clear = picture().convert("RGBA")
    clear.putalpha(0)
    assert decode(heic(clear)).min() > 240
    grey = np.full((32, 32), 128 * 257, np.uint16)
    stream = io.BytesIO()
    pillow_heif.encode("I;16", (32, 32), grey.tobytes(), stream, quality=90)
    assert abs(decode(stream.getvalue()).astype(int) - 128).max() < 4


def test_of_several_pictures_the_main_one_is_read():
    other = Image.new("RGB", (64, 32), "white")
    data = heic(other, save_all=True, append_images=[picture()], primary_index=1)
    np.testing.assert_allclose(decode(data).astype(int), np.asarray(picture()).astype(int), atol=40)


def test_a_heic_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr("openalign.data.images.rgb.MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match=r"^64 x 32 is more than 100 million pixels$"):
        decode(HEIC)


def test_without_the_extra_the_message_says_which_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"^HEIC is not supported without pip install 'openalign\[photos\]'$"):
        decode(HEIC)
    assert photo_facts(HEIC).date is None


def test_a_truncated_heic_is_no_picture():
    for size in range(16, len(HEIC), 37):
        with pytest.raises(ImageError, match=r"^(truncated|damaged|truncated or damaged) HEIC$"):
            decode(HEIC[:size])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(12, len(HEIC) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_heic_raises_only_image_errors_and_warns_of_nothing(changes):
    damaged = bytearray(HEIC)
    for position, value in changes:
        damaged[position] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with suppress(ImageError):
            assert decode(bytes(damaged)).shape[2] == 3
        photo_facts(bytes(damaged))


def test_the_plugin_knows_the_options_that_it_is_given(monkeypatch):
    monkeypatch.setattr(pillow_heif.options, "THUMBNAILS", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header._register_heif.__wrapped__()
    assert not pillow_heif.options.THUMBNAILS and not pillow_heif.options.DEPTH_IMAGES


def test_only_heic_loads_the_plugin():
    assert header._HEIF not in header._PILLOW_FORMATS


def test_a_folder_of_heic_without_the_extra_says_which_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    undecoded = {suffix for each in FORMATS if not each.is_decoded for suffix in each.suffixes}
    assert {"heic", "heif", "hif", "jxl"} == undecoded
    monkeypatch.setattr(folder_files, "_NOT_DECODED", undecoded)
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    picture().save(tmp_path / "IMG_2.HEIC", "JPEG")
    pairs = open_pairs(tmp_path, need_text=False)
    assert pairs.table["image"].to_pylist() == ["IMG_2.HEIC"]
    [problem] = pairs.problems
    advice = "(pip install 'openalign[photos]'), the first: IMG_1.HEIC"
    assert problem.endswith(f"1 .heic images are of a format that is not read {advice}")
    assert reading_advice(["heic", "svg"]) == "pip install 'openalign[photos]'"
    assert reading_advice(["svg", "jxl"]) == "convert them to PNG or JPEG"
