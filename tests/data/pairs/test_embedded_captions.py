"""Captions inside image files are told where a folder has no other texts, and taken where the user asks for them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from openalign.options import typed_options


def photo(path: Path, caption: str) -> None:
    tags = Image.Exif()
    tags[0x010E] = caption.encode()
    encoded = io.BytesIO()
    Image.fromarray(np.full((9, 12, 3), sum(caption.encode()) % 256, np.uint8)).save(encoded, "JPEG", exif=tags)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.getvalue())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, caption in {"a": "A boat, Büsum", "b": "SONY DSC", "c": "Two boats"}.items():
        photo(tmp_path / f"{name}.jpg", caption)
    return tmp_path


def test_they_are_told_and_not_taken_by_themselves(folder: Path) -> None:
    pairs = open_pairs(folder, need_text=False)
    assert not any(pairs.texts())
    assert any("2 of 3 images hold a caption in the file itself, the first: a.jpg" in each for each in pairs.problems)
    with typed_options(), pytest.raises(OpenAlignError, match=r"no texts.*--text-column embedded"):
        open_pairs(folder)


def test_they_are_taken_where_the_user_says_so(folder: Path) -> None:
    pairs = open_pairs(folder, text_column="embedded")
    assert dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True)) == {
        "a.jpg": "A boat, Büsum", "c.jpg": "Two boats",
    }  # fmt: skip
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT.value: 1}
    assert "text: the caption in each image file" in pairs.read_as
    assert len(open_pairs(folder, text_column="embedded", need_text=False)) == 3


def test_folders_that_could_be_classes_tell_of_them_as_well(tmp_path: Path) -> None:
    for place in ("Paris", "Rome"):
        photo(tmp_path / place / f"{place}.jpg", f"{place} in spring")
    with typed_options():
        told = open_pairs(tmp_path).problems
    assert any("--layout images --text-column embedded takes these" in each for each in told)
    with typed_options(), pytest.raises(OpenAlignError, match="add --layout images"):
        open_pairs(tmp_path, text_column="embedded")
    pairs = open_pairs(tmp_path, layout="images", text_column="embedded")
    assert pairs.texts() == ["Paris in spring", "Rome in spring"]


def test_only_some_of_many_images_are_looked_into(tmp_path: Path) -> None:
    for number in range(70):
        photo(tmp_path / f"{number:02}.jpg", f"Boat {'I' * number}")
    assert any("32 of 32 sampled images" in each for each in open_pairs(tmp_path, need_text=False).problems)
