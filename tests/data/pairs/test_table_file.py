"""A table called `pairs` in a folder: the images there that it does not name are counted."""

import bz2
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put


@pytest.mark.parametrize("written", ["{}.jpg", "./{}.jpg", "{folder}/{}.jpg", "file://{folder}/{}.jpg", "x/../{}.jpg"])
def test_images_that_no_row_names_are_counted(tmp_path: Path, written: str) -> None:
    put(tmp_path, a=None, b=None, c=None)
    put(tmp_path / "more", d=None)
    rows = [written.format(name, folder=tmp_path) for name in "ab"]
    (tmp_path / "pairs.csv").write_text("image,text\n" + "".join(f"{row},the text\n" for row in rows))
    for need_text in (True, False):  # an index has no use for the texts
        pairs = open_pairs(tmp_path, need_text=need_text)
        assert len(pairs) == 2
        assert counted(pairs.problems) == {Kind.IMAGE_NOT_NAMED: 2}
        assert any("pairs.csv: 2 images" in each and "the first: c.jpg" in each for each in pairs.problems)
    assert counted(open_pairs(tmp_path / "pairs.csv").problems) == {}


@pytest.mark.parametrize("names", [("img\\a.jpg", "img\\b.jpg"), ("img/a.jpg", "img/b.jpg"), ("a.jpg", "b.jpg")])
def test_images_that_are_named_in_any_way_are_not_counted(tmp_path: Path, names: tuple[str, ...]) -> None:
    put(tmp_path / "img", a=None, b=None)
    lines = [json.dumps({"image": name, "text": "one"}) for name in names]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    assert counted(open_pairs(tmp_path).problems) == {}


def test_rows_without_a_text_and_of_another_split_name_their_images(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None, c=None)
    (tmp_path / "pairs.csv").write_text("image,text,split\na.jpg,one,train\nb.jpg,,train\nc.jpg,two,val\n")
    pairs = open_pairs(tmp_path, split="train")
    assert pairs.texts() == ["one"] and counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 1}


def test_images_beside_a_table_that_holds_its_own_are_counted(tmp_path: Path) -> None:
    put(tmp_path, a=None)
    pq.write_table(pa.table({"image": [JPEG, JPEG], "text": ["one", "two"]}), tmp_path / "pairs.parquet")
    pairs = open_pairs(tmp_path)
    assert len(pairs) == 2 and counted(pairs.problems) == {Kind.IMAGE_NOT_NAMED: 1}


@pytest.mark.parametrize("repeated", ["x", "score", ""])
def test_columns_of_one_name_matter_only_where_they_are_taken(tmp_path: Path, repeated: str) -> None:
    put(tmp_path, a=None, b=None)
    header = f"image,text,{repeated},{repeated}"
    (tmp_path / "t.csv").write_text(f"{header}\na.jpg,one,1,2\nb.jpg,two,3,4\n")
    pairs = open_pairs(tmp_path / "t.csv")
    assert pairs.texts() == ["one", "two"]
    assert pairs.table[f"{repeated} (2)"].to_pylist() == ["2", "4"]
    (tmp_path / "u.csv").write_text("image,text,text\na.jpg,one,1\n")
    with pytest.raises(OpenAlignError, match=r"u\.csv has two columns called 'text'"):
        open_pairs(tmp_path / "u.csv")


@pytest.mark.parametrize("name", ["t.csv.bz2", "t.txt.bz2"])
def test_a_packed_table_that_is_read_is_not_counted_as_one_that_is_not(tmp_path: Path, name: str) -> None:
    put(tmp_path, a=None)
    (tmp_path / name).write_bytes(bz2.compress(b"image\ttext\na.jpg\tone\n"))
    assert counted(open_pairs(tmp_path / name, strict=True).problems) == {}
