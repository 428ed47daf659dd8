"""Pages and frames beyond the first are counted by headers, within bounds."""

import io

import numpy as np
import pytest
from PIL import Image

from openalign.data.images.frames import frames_in, further_frames
from openalign.data.left_out import Kind, LeftOut, counted, refuse_left_out
from openalign.errors import OpenAlignError

PICTURE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


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
    stored = io.BytesIO()
    Image.fromarray(PICTURE).save(stored, format)
    assert frames_in(stored.getvalue()) == 1
    assert frames_in(b"") == 1


@pytest.mark.parametrize("colours", [2, 7, 256])
def test_frames_of_a_gif_are_those_that_pillow_finds(colours: int) -> None:
    pictures = [Image.fromarray(np.roll(PICTURE, 11 * each, 0)).quantize(colours) for each in range(5)]
    stored = io.BytesIO()
    pictures[0].save(stored, "GIF", save_all=True, append_images=pictures[1:], comment=b"five" * 99, loop=0)
    with Image.open(stored) as opened:
        assert frames_in(stored.getvalue()) == opened.n_frames == 5  # type: ignore[attr-defined]


def test_frames_of_a_hostile_gif_are_counted_up_to_a_bound() -> None:
    frame = b"\x2c" + bytes(8) + b"\0\x02\x01\0\0"
    assert frames_in(b"GIF89a" + bytes(7) + frame * 20_000 + b";") == 10_000
    assert frames_in(b"GIF89a" + bytes(7) + frame * 3 + b"\x2c") == 4


def test_further_frames_are_counted_and_forbidden_by_nothing() -> None:
    told = further_frames({"a.gif": 5, "scan.tif": 3}, "photos")
    assert counted(told) == {Kind.FURTHER_FRAME.value: 6}
    assert "2 images" in told[0] and "1 of 5" in told[0] and "a.gif" in told[0]
    refuse_left_out("photos", told)
    with pytest.raises(OpenAlignError, match="rows without a text"):
        refuse_left_out("photos", [*told, LeftOut(Kind.ROW_WITHOUT_TEXT, "no text")])
    assert further_frames({}, "photos") == []
