"""Images in files of their own: URLs, odd names, texts beside them, and files that are not images."""

import os
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs import file_images
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import put


def test_a_url_cannot_be_read_before_it_is_downloaded(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a dog\thttp://a.test/1.jpg\n")
    with pytest.raises(OpenAlignError, match="this image is a URL: run `openalign curate`"):
        open_pairs(tmp_path / "t.tsv").image_bytes(0)


def test_an_image_whose_name_is_not_utf8_is_left_out_and_listed(tmp_path: Path) -> None:
    put(tmp_path, a="one", b="two")
    (tmp_path / "b.txt").unlink()
    (tmp_path / "b.jpg").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"]
    assert pairs.problems == (
        f"{tmp_path}: 1 files whose names are not UTF-8 are left out; rename them, the first: caf\ufffd.jpg",
    )


def test_a_text_beside_an_image_that_cannot_be_read_costs_that_image_alone(tmp_path: Path) -> None:
    put(tmp_path, a="one", b=None, c="")
    (tmp_path / "b.txt").write_bytes(b"\x00\xff\x80\x01\xfe")
    (tmp_path / "c.txt").write_bytes("café".encode("latin-1"))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one", "café"]
    assert pairs.problems[0] == f"{tmp_path / 'b.txt'} is not text"
    assert "c" in pairs.problems[1] and "are read as cp1252" in pairs.problems[1]
    assert counted(pairs.problems) == {Kind.TEXT_NOT_READ: 1}
    assert open_pairs(tmp_path, need_text=False).texts() == ["one", "", "café"]


def test_a_table_that_names_no_file_for_an_image_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "large.jpg").write_bytes(bytes(1001))
    monkeypatch.setattr(file_images, "MAX_IMAGE_BYTES", 1000)
    (tmp_path / "t.csv").write_text(f"file,text\npipe.jpg,x\n/dev/zero,x\n{tmp_path},x\nlarge.jpg,x\nnowhere.jpg,x\n")
    pairs = open_pairs(tmp_path / "t.csv")
    reasons = [
        "it is not a regular file",
        "it is not a regular file",
        "it is not a regular file",
        "it has 1,001 bytes, more than 1,000",
        "No such file",
    ]
    for row, reason in enumerate(reasons):
        with pytest.raises(OpenAlignError, match=rf"t\.csv row {row + 1} .*the image file cannot be read \({reason}"):
            pairs.image_bytes(row)
