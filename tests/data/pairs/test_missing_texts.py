"""Markers of missing values in tables of text are no texts, or told where they may be."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put


def write(folder: Path, form: str, texts: list[str]) -> Path:
    rows = [{"image": f"{number}.jpg", "text": text} for number, text in enumerate(texts)]
    for row in rows:
        (folder / row["image"]).write_bytes(JPEG)
    path = folder / f"t.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text("\n".join(["image\ttext", *(f"{row['image']}\t{row['text']}" for row in rows)]))
    return path


@pytest.mark.parametrize("form", ["tsv", "parquet", "jsonl"])
@pytest.mark.parametrize("marker", ["\\N", "<NA>", "#N/A"])
def test_a_marker_that_is_no_word_is_no_text(tmp_path: Path, form: str, marker: str) -> None:
    path = write(tmp_path, form, ["a boat", marker, "a cat", f"a {marker} b", marker])
    pairs = open_pairs(path)
    assert pairs.texts() == ["a boat", "a cat", f"a {marker} b"]
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 2}
    assert len(open_pairs(path, need_text=False)) == 5


@pytest.mark.parametrize("form", ["tsv", "parquet"])
def test_a_marker_that_may_be_a_word_stays_and_is_told(tmp_path: Path, form: str) -> None:
    pairs = open_pairs(write(tmp_path, form, ["nan", "NULL", "nan", "no banana", "NULL and void"]))
    assert len(pairs) == 5 and counted(pairs.problems) == {}
    assert [each for each in pairs.problems if "3 texts may be markers of missing values (`nan` 2, `NULL` 1)" in each]


def test_markers_in_caption_files_are_told_too(tmp_path: Path) -> None:
    pairs = open_pairs(put(tmp_path, a="None", b="a boat", c="\\N"))
    assert pairs.texts() == ["None", "a boat"]
    assert any("1 texts may be markers" in each for each in pairs.problems)


@pytest.mark.parametrize("form", ["tsv", "parquet", "jsonl"])
@pytest.mark.parametrize("names", [["0.jpg", "1.jpg", "a boat"], ["IMG_1.HEIC", "IMG_2.HEIC", "b.png"]])
def test_names_of_image_files_are_no_texts_where_most_are(tmp_path: Path, form: str, names: list[str]) -> None:
    path = write(tmp_path, form, names)
    if names[-1] == "a boat":
        pairs = open_pairs(path)
        assert pairs.texts() == ["a boat"] and counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 2}
    else:
        with pytest.raises(OpenAlignError, match=r"no texts.*3 texts are names of image files \(IMG_1\.HEIC"):
            open_pairs(path)


def test_a_text_that_is_the_name_of_a_file_among_others_stays(tmp_path: Path) -> None:
    texts = ["how to open a.jpg", "logo.png", "a boat", "a cat"]
    assert open_pairs(write(tmp_path, "tsv", texts)).texts() == texts


@pytest.mark.parametrize("form", ["tsv", "parquet", "jsonl"])
def test_objects_written_as_text_are_no_texts(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form, ["a boat", '{"score": 0.5, "tags": []}', "{a cat}", ' {"en": {"a": 1}} ', "{}"])
    pairs = open_pairs(path)
    assert pairs.texts() == ["a boat", "{a cat}"]
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 3}
    assert any("3 texts are JSON objects" in each for each in pairs.problems)


def test_an_object_among_texts_and_lists_of_them_costs_its_row_alone(tmp_path: Path) -> None:
    texts = ["a boat", {"score": 1}, ["a cat", None, "two cats"]]
    for number in range(len(texts)):
        (tmp_path / f"{number}.jpg").write_bytes(JPEG)
    rows = [{"image": f"{number}.jpg", "text": text} for number, text in enumerate(texts)]
    for name, content in (("t.jsonl", "\n".join(map(json.dumps, rows))), ("t.json", json.dumps(rows))):
        (tmp_path / name).write_text(content)
        pairs = open_pairs(tmp_path / name)
        assert pairs.texts() == ["a boat", "a cat", "two cats"]
        assert pairs.table["image"].to_pylist() == ["0.jpg", "2.jpg", "2.jpg"]
