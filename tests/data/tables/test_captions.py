"""Several captions of an image in a field, in every form they are written in."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from openalign.data.tables.captions import captions_as_rows
from openalign.data.tables.read import read_table

OF_OBJECTS = [[{"raw": "a dog", "tokens": ["a", "dog"]}, {"raw": "dogs"}], [], [{"raw": "a cat"}]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["a dog", "dogs"], [], ["a cat"]]),
        pa.array([["a dog", "dogs"], None, ["a cat"]], pa.large_list(pa.large_string())),
        pa.array(OF_OBJECTS),
        pa.array([{"raw": ["a dog", "dogs"]}, {"raw": None}, {"raw": ["a cat"]}]),
        pa.array(['["a dog", "dogs"]', "", '["a cat"]']),
        pa.array(["['a dog', \"dogs\"]", "[]", "['a cat']"]),
        pa.array(["['a dog' 'dogs']", None, "['a cat']"]),
        pa.array(["['a dog'\n 'dogs']", None, "[u'a cat']"]),
    ],
)
def test_each_caption_of_an_image_is_a_row(column: pa.Array) -> None:
    table, rows = captions_as_rows(pa.table({"image": ["0", "1", "2"], "caption": column}), "caption", need_text=True)
    assert rows.tolist() == [0, 0, 1, 2]
    assert table["image"].to_pylist() == ["0", "0", "1", "2"]
    assert table["caption"].to_pylist() == ["a dog", "dogs", None, "a cat"]


@pytest.mark.parametrize(
    "texts",
    [
        ["['a dog']", "a cat"],
        ["[1, 2]", "[3, 4]"],
        ["[image of a dog]", "[image of a cat]"],
        ["['a dog' ...]", "['a cat']"],
        ["a dog", "['a cat']"],
    ],
)
def test_texts_that_are_not_all_lists_of_texts_stay_as_they_are(texts: list[str]) -> None:
    table, rows = captions_as_rows(pa.table({"image": ["0", "1"], "caption": texts}), "caption", need_text=True)
    assert table["caption"].to_pylist() == texts
    assert np.array_equal(rows, [0, 1])


MOSTLY_LISTS = [
    (["['a dog', 'dogs']", "a cat", '["a cow"]'], ["a dog", "dogs", "a cat", "a cow"], 1),
    (["('a dog', 'dogs')", "['a cat']", ""], ["a dog", "dogs", "a cat", None], 0),
    (['["a dog"]', "['a cat', \"it's\"]", "[a cow]", " ['cut off', ", "['x']"], None, 2),
    (["('a dog',)", "[]", "  [ 'a', 'b' ]"], ["a dog", "a", "b", None], 0),
]


@pytest.mark.parametrize(("texts", "captions", "single"), MOSTLY_LISTS)
def test_where_most_texts_are_lists_the_others_are_captions(
    texts: list[str], captions: list[str] | None, single: int
) -> None:
    problems: list[str] = []
    table = pa.table({"image": [str(at) for at in range(len(texts))], "caption": texts})
    table, rows = captions_as_rows(table, "caption", need_text=True, problems=problems)
    if captions is None:
        captions = ["a dog", "a cat", "it's", "[a cow]", " ['cut off', ", "x"]
        assert rows.tolist() == [0, 1, 1, 2, 3, 4]
    assert sorted(filter(None, table["caption"].to_pylist())) == sorted(filter(None, captions))
    assert len(problems) == 1
    assert (f"{single} that are no lists are captions as they are" in problems[0]) == (single > 0)


@pytest.mark.parametrize("texts", [["(a dog)", "(a cat)"], ["('quoted')", "('a cat')"], ["[", "("]])
def test_texts_in_brackets_are_no_lists(texts: list[str]) -> None:
    table, _ = captions_as_rows(pa.table({"image": ["0", "1"], "caption": texts}), "caption", need_text=True)
    assert table["caption"].to_pylist() == texts


def test_nan_in_place_of_a_text_is_no_text(tmp_path: Path) -> None:
    lines = ['{"file": "a", "text": NaN}', '{"file": "b", "text": "b"}', '{"file": "c", "text": ["c", NaN]}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert read_table(tmp_path / "t.jsonl")["text"].to_pylist() == [None, "b", "c", None]
    (tmp_path / "t.json").write_text(f"[{lines[0]}, {lines[1]}]")
    assert read_table(tmp_path / "t.json")["text"].to_pylist() == [None, "b"]


def test_without_texts_an_image_keeps_its_first_caption_that_is_not_blank() -> None:
    column = pa.array([["", None, "a dog", "dogs"], [], ["", " "]])
    table, rows = captions_as_rows(pa.table({"image": ["0", "1", "2"], "caption": column}), "caption", need_text=False)
    assert rows.tolist() == [0, 1, 2]
    assert table["caption"].to_pylist() == ["a dog", None, ""]


def test_a_field_of_objects_can_hold_the_captions(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"file": "a", "s": {"en": ["x", "y"]}}\n{"file": "b", "s": {"en": ["z"]}}\n')
    assert read_table(tmp_path / "t.jsonl", text_column="s.en")["text"].to_pylist() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ('{"file": "b", "text": ["y", "z"]}', ["x", "y", "z"]),
        ('{"file": "b", "text": ["y", 5]}', ["x", "y", "5"]),
        ('{"file": "b", "text": ["y", null]}', ["x", "y", None]),
        ('{"file": "b", "text": ["2019-01-01"]}', ["x", "2019-01-01"]),
    ],
)
def test_a_text_in_one_row_and_a_list_in_another_are_both_read(tmp_path: Path, line: str, texts: list[str]) -> None:
    (tmp_path / "t.jsonl").write_text('{"file": "a", "text": "x"}\n' + line + "\n")
    assert read_table(tmp_path / "t.jsonl")["text"].to_pylist() == texts


def test_lists_of_texts_that_look_like_dates_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"file": "a", "text": ["2019-01-01", "2020-01-01"]}\n')
    assert read_table(tmp_path / "t.jsonl")["text"].to_pylist() == ["2019-01-01", "2020-01-01"]


def test_lists_in_the_field_of_a_csv_are_noted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('raw,filename\n"[""a"", ""b""]",1.jpg\n"[""c""]",2.jpg\n')
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["image"].to_pylist() == ["1.jpg", "1.jpg", "2.jpg"]
    assert problems == [f"{tmp_path}/t.csv: the texts in `raw` are lists, and each caption in them is read by itself"]
