"""Tables are read whatever their format, and what is wrong with one is an error or a listed problem."""

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1), min_size=1))
def test_csv_and_json_lines_hold_the_same_texts(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("tables")
    rows = [{"image": f"{i}.jpg", "text": text} for i, text in enumerate(texts)]
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["image", "text"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_table(folder / "t.csv").to_pylist() == read_table(folder / "t.jsonl").to_pylist() == rows


def test_parquet_and_gzip_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"URL": ["u"], "TEXT": pa.array(["t"]).dictionary_encode()}), tmp_path / "t.parquet")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"url,text\nu,t\n"))
    expected = [{"image": "u", "text": "t"}]
    assert read_table(tmp_path / "t.parquet").to_pylist() == read_table(tmp_path / "t.csv.gz").to_pylist() == expected


def test_bytes_that_are_not_text_are_reported_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,text\na.jpg,x\nb.jpg," + bytes(range(128, 256)) * 40 + b"\n")
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["image"].to_pylist() == ["a.jpg"]
    assert problems == [f"{tmp_path}/t.csv line 3 is not UTF-8, and its row is left out"]
    (tmp_path / "t.csv").write_bytes(b"file,text\nb.jpg," + bytes(range(128, 256)) * 40 + b"\n")
    with pytest.raises(OpenAlignError, match=r"t\.csv has no rows: .* The first problem: .* line 2 is not UTF-8"):
        read_table(tmp_path / "t.csv")


def test_lines_that_cannot_be_parsed_are_left_out_and_listed(tmp_path: Path) -> None:
    table, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    table.write_text("file,text\na.jpg,x\nb.jpg,x,y\nc.jpg,z\n")
    lines.write_text('{"file": "a.jpg", "text": "x"}\nnope\n{"file": "c.jpg", "text": "z"}\n')
    problems: list[str] = []
    for path in (table, lines):
        assert read_table(path, problems=problems)["image"].to_pylist() == ["a.jpg", "c.jpg"]
    assert problems == [
        f"{table} row 2 has 3 fields where 2 are expected, and is left out",
        f"{lines} line 2 is not a JSON object, and is left out",
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"file,text\n", "has no rows"),
        ("t.csv", b"\n\n", "cannot be read as a table"),
        ("t.jsonl", b'"file"\n', "has no rows"),
        ("t.parquet", b"PAR1 and no more", "cannot be read as a table"),
    ],
)
def test_a_file_that_is_not_a_table_is_an_error_with_reason(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(OpenAlignError, match=message):
        read_table(tmp_path / name)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"file,text\n" + b"a,\0\n",
        b'"' * 1001,
        b'file,text\n"' + b"x" * 300_000,
        b"f" * 200_000 + b",text\na,b\n",
        b",".join(b"c%d" % i for i in range(5000)) + b"\n" + b"," * 4999,
        b'{"file": "\xff"}\n',
        b"\x1f\x8b" + bytes(20),
    ],
)
def test_odd_bytes_in_a_table_raise_nothing_but_our_error(tmp_path: Path, name: str, data: bytes) -> None:
    for file, content in ((name, data), (f"{name}.gz", gzip.compress(data)), (f"{name}.gz", gzip.compress(data)[:-9])):
        (tmp_path / file).write_bytes(content)
        try:
            read_table(tmp_path / file)
        except OpenAlignError as error:
            assert "\n" not in str(error)
