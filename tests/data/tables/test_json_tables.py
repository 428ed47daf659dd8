"""Tables in one piece of JSON."""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from openalign.data.left_out import counted
from openalign.data.split_names import split_of
from openalign.data.tables import json_tables
from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError

ROWS = [{"image": "a.jpg", "text": "a dog"}, {"image": "b.jpg", "text": "a cat"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", json.dumps(ROWS)),
        ("t.json", "\ufeff" + json.dumps(ROWS, indent=2)),
        ("t.json", json.dumps({"version": "1", "data": ROWS})),
        ("t.json", json.dumps({"a.jpg": "a dog", "b.jpg": "a cat"})),
        ("t.json", json.dumps({"a.jpg": {"caption": "a dog"}, "b.jpg": {"caption": ["a cat"]}})),
        ("t.json", json.dumps({"image": ["a.jpg", "b.jpg"], "text": ["a dog", "a cat"]})),
        ("t.json", json.dumps({"image_urls": ["x", "y"], "image": ["a.jpg", "b.jpg"], "caption": ["a dog", "a cat"]})),
        ("t.json", json.dumps({"image": {"0": "a.jpg", "7": "b.jpg"}, "text": {"0": "a dog", "7": "a cat"}})),
        ("t.json", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("t.jsonl", json.dumps(ROWS)),
        ("t.ndjson", " \n" + json.dumps(ROWS, indent=1)),
    ],
)
def test_every_form_of_a_table_in_json_gives_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_table(tmp_path / name).select(["image", "text"]).to_pylist() == ROWS


def test_a_json_file_in_another_encoding_is_read_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"image": "a", "text": "café"}]', encoding="cp1252")
    problems: list[str] = []
    assert read_table(tmp_path / "t.json", problems=problems)["text"].to_pylist() == ["café"]
    assert "is read as cp1252" in problems[0]


def test_entries_that_are_no_objects_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([*ROWS, 5, None, "x", {"image": "c.jpg", "text": "\ud83d"}]))
    problems: list[str] = []
    assert read_table(tmp_path / "t.json", problems=problems)["text"].to_pylist() == ["a dog", "a cat", "\ufffd"]
    assert counted(problems) == {"rows that cannot be parsed": 3}


def test_many_bad_entries_are_listed_up_to_a_limit_and_counted_exactly(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([*ROWS, *range(1000)]))
    problems: list[str] = []
    read_table(tmp_path / "t.json", problems=problems)
    assert len(problems) == 21
    assert problems[-1].endswith("980 more rows that cannot be parsed")
    assert counted(problems) == {"rows that cannot be parsed": 1000}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("5", "holds no list of objects"),
        ("{}", "holds no list of objects"),
        ('{"model": "x", "sizes": [1, 2]}', "holds no list of objects"),
        ("[1, 2]", "none of its 2 entries is an object"),
        ("[1, 2", "cannot be read as JSON"),
        ("[" * 100_000, "nested too deeply|cannot be read as JSON"),
    ],
)
def test_json_that_is_no_table_is_an_error_with_reason(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(OpenAlignError, match=message):
        read_table(tmp_path / "t.json")


def test_a_file_above_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_tables, "MOST_BYTES", 50)
    (tmp_path / "t.json").write_text(json.dumps(ROWS))
    with pytest.raises(OpenAlignError, match="write it as JSON Lines"):
        read_table(tmp_path / "t.json")


@pytest.mark.parametrize(
    "value",
    [
        {"image": ["a.jpg", "b.jpg"], "text": ["a dog"]},
        {"names": ["a", "b"]},
        {"image": {"0": "a.jpg"}, "text": {"1": "a dog"}},
        {"version": 1},
    ],
)
def test_json_of_no_rows_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "t.json").write_text(json.dumps(value))
    with pytest.raises(OpenAlignError, match="there are no rows in it"):
        read_table(tmp_path / "t.json")


@pytest.mark.parametrize(
    "value",
    [
        {"train": [{"image": "a.jpg", "text": "one"}], "val": [{"image": "b.jpg", "text": "two"}], "test": []},
        {"Train": {"a.jpg": "one"}, "Val": {"b.jpg": "two"}},
        {"train_set": [["a.jpg", "one"]], "val_set": [["b.jpg", "two"]]},
        {"version": 2, "train": [{"image": "a.jpg", "text": "one"}], "val": [{"image": "b.jpg", "text": "two"}]},
    ],
)
def test_lists_by_split_are_rows_that_tell_it(tmp_path: Path, value: Any) -> None:
    table = read_table(written(tmp_path, value))
    assert table["image"].to_pylist() == ["a.jpg", "b.jpg"] and table["text"].to_pylist() == ["one", "two"]
    last = table[table.column_names[-1]].to_pylist()
    assert [split_of(each) for each in last] == ["train", "val"]


FRAME = [
    {"file_name": "x/1.png", "caption": "a cat", "size": 3},
    {"file_name": "x/2.png", "caption": "a dog", "size": 4},
]


@pytest.mark.parametrize("orient", ["records", "index", "columns", "split", "table", "values"])
@pytest.mark.parametrize("named", [False, True])
def test_tables_that_pandas_wrote_are_read_in_each_orientation(tmp_path: Path, orient: Any, named: bool) -> None:
    frame = pandas.DataFrame(FRAME, index=["first", "second"] if named else None)
    path = tmp_path / "frame.json"
    frame.to_json(path, orient=orient)
    problems: list[str] = []
    table = read_table(path, problems=problems)
    assert table["image"].to_pylist() == ["x/1.png", "x/2.png"] and table["text"].to_pylist() == ["a cat", "a dog"]
    assert bool(problems) == (orient == "values")


@pytest.mark.parametrize("orient", ["index", "columns"])
def test_a_table_whose_index_is_the_image_is_read(tmp_path: Path, orient: Any) -> None:
    path = tmp_path / "frame.json"
    pandas.DataFrame(FRAME).set_index("file_name").to_json(path, orient=orient)
    table = read_table(path)
    assert table["image"].to_pylist() == ["x/1.png", "x/2.png"] and table["text"].to_pylist() == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"cats": [{"image": "a.jpg"}], "dogs": [{"image": "b.jpg"}] * 2},
            r"several lists .* \(`cats` with 1, `dogs` with 2\)",
        ),
        ({"a": {"b": {"c": 1}}, "d": 3}, 'but an object of 2 keys .*orient="records"'),
        ([["one", "two"], ["three", "four"]], "a list of lists without names of columns"),
        ("text", "but a single str"),
    ],
)
def test_json_of_another_form_is_named_in_a_sentence(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(OpenAlignError, match=message):
        read_table(written(tmp_path, value))


def written(folder: Path, value: Any) -> Path:
    (folder / "t.json").write_text(json.dumps(value))
    return folder / "t.json"


def test_lists_of_captions_by_names_without_a_suffix_are_captions_of_images(tmp_path: Path) -> None:
    value = {"heron": ["a grey bird", "it wades"], "egret": ["a white bird", "it flies"]}
    table = read_table(written(tmp_path, value))
    assert table["image"].to_pylist() == ["heron", "heron", "egret", "egret"]
    assert table["text"].to_pylist() == [text for texts in value.values() for text in texts]
