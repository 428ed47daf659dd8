"""Hugging Face image folders: the metadata table of each image is the nearest, splits are folders."""

import json
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import put


def lines(path: Path, *rows: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pairs_in(folder: Path, **options: str) -> dict[str, str]:
    pairs = open_pairs(folder, **options)  # type: ignore[arg-type]
    return dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))


def test_a_table_above_the_splits_is_read_for_each(tmp_path: Path) -> None:
    put(tmp_path / "train", a=None, b=None)
    put(tmp_path / "test", a=None)
    rows = [("train/a.jpg", "one"), ("train/b.jpg", "two"), ("test/a.jpg", "three"), ("test/gone.jpg", "four")]
    lines(tmp_path / "metadata.jsonl", *({"file_name": name, "text": text} for name, text in rows))
    with pytest.raises(OpenAlignError, match=r"several splits \(test, train\)"):
        open_pairs(tmp_path)
    assert pairs_in(tmp_path, split="train") == {"train/a.jpg": "one", "train/b.jpg": "two"}
    assert counted(open_pairs(tmp_path, split="train").problems) == {}
    assert counted(open_pairs(tmp_path, split="test").problems) == {Kind.FILE_MISSING: 1}
    assert len(open_pairs(tmp_path, split="all")) == 3


@pytest.mark.parametrize(
    "row",
    [
        {"left_file_name": "a.jpg", "caption": "one"},
        {"image": {"file_name": "a.jpg"}, "caption": "one"},
        {"id": 7, "file_name": "./a.jpg", "text": "one"},
    ],
)
def test_the_file_name_may_be_a_field_or_have_a_longer_name(tmp_path: Path, row: dict[str, object]) -> None:
    put(tmp_path, a=None)
    lines(tmp_path / "metadata.jsonl", row)
    assert pairs_in(tmp_path) == {"a.jpg": "one"}


def test_tables_in_folders_below_are_parts_of_one(tmp_path: Path) -> None:
    put(tmp_path / "x", a=None, unnamed=None)
    put(tmp_path / "y", a=None)
    lines(tmp_path / "x" / "metadata.jsonl", {"file_name": "a.jpg", "text": "one"})
    (tmp_path / "y" / "metadata.csv").write_text("file_name,text\na.jpg,two\n")
    assert pairs_in(tmp_path) == {"x/a.jpg": "one", "y/a.jpg": "two"}
    assert counted(open_pairs(tmp_path).problems) == {Kind.IMAGE_NOT_NAMED: 1}


def test_tables_that_agree_are_one_and_those_that_differ_are_refused(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    lines(tmp_path / "metadata.jsonl", {"file_name": "a.jpg", "text": "one"}, {"file_name": "b.jpg", "text": "two"})
    (tmp_path / "metadata.csv").write_text("file_name,text\na.jpg,one\nb.jpg,two\n")
    assert pairs_in(tmp_path) == {"a.jpg": "one", "b.jpg": "two"}
    assert counted(open_pairs(tmp_path).problems) == {}
    (tmp_path / "metadata.csv").write_text("file_name,text\na.jpg,eins\nb.jpg,zwei\n")
    with pytest.raises(OpenAlignError, match=r"different texts.*give the table"):
        open_pairs(tmp_path)


def test_images_in_a_zip_are_told(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(b"PK\3\4")
    lines(tmp_path / "metadata.jsonl", {"file_name": "a.jpg", "text": "one"})
    with pytest.raises(OpenAlignError, match=r"\.zip files are not read \(unpack them\)"):
        open_pairs(tmp_path)
