"""The bytes of a table: encodings, long lines, compression."""

import codecs
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.files import text_source
from openalign.data.left_out import counted
from openalign.data.tables import json_lines, suffixes
from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError
from tests.data.tables.long_tables import LINES, table_with


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "shift_jis", "utf-16", "utf-16-be"])
def test_a_table_that_is_not_utf8_is_read_in_its_encoding_with_a_note(tmp_path: Path, name: str, encoding: str) -> None:
    others = {"cp1251": "Красное яблоко лежит на столе", "shift_jis": "テーブルの上に赤いりんごがあります"}
    word = others.get(encoding, "Café près d'ici")
    lines = {
        "t.csv": f"file,text\na.jpg,x\nb.jpg,{word}\n",
        "t.tsv": f"file\ttext\na.jpg\tx\nb.jpg\t{word}\n",
        "t.jsonl": f'{{"file": "a.jpg", "text": "x"}}\n{{"file": "b.jpg", "text": "{word}"}}\n',
    }[name]
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / name).write_bytes(mark + lines.encode(encoding))
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert table.select(["image", "text"]).to_pylist() == [
        {"image": "a.jpg", "text": "x"},
        {"image": "b.jpg", "text": word},
    ]
    [problem] = problems
    assert f"{name} is not UTF-8, and is read as" in problem


@pytest.mark.parametrize("name", [*LINES, "t.csv.gz"])
def test_a_long_cell_is_read(tmp_path: Path, name: str) -> None:
    table_with(tmp_path / name, b"y" * 3_000_000)
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert [len(text) for text in table["text"].to_pylist()] == [1] * 500 + [3_000_000] + [1] * 499
    assert problems == []


@pytest.mark.parametrize("name", LINES)
def test_a_line_longer_than_the_limit_is_left_out_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(text_source, "MOST_LINE_BYTES", 2 << 20)
    others = table_with(tmp_path / name, b"y" * 5_000_000)
    problems: list[str] = []
    if name == "t.jsonl":
        monkeypatch.setattr(json_lines, "_could_crash", lambda source: True)  # else its reader takes that much
    assert read_table(tmp_path / name, problems=problems)["image"].to_pylist() == others
    [problem] = problems
    assert problem.startswith(f"{tmp_path / name} line {501 + (name != 't.jsonl')} has more than ")


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_is_not_utf8_is_left_out_of_a_table_that_is(tmp_path: Path, name: str) -> None:
    others = table_with(tmp_path / name, b"caf\xe9", "café")
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert table["image"].to_pylist() == others
    assert set(table["text"].to_pylist()) == {"café"}
    [problem] = problems
    assert f"{name} line {501 + (name != 't.jsonl')} is not UTF-8, and " in problem


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.parquet"])
def test_a_table_that_unpacks_to_far_more_than_its_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(text_source, "UNPACKED_ANYWAY", 1 << 20)
    if name == "t.parquet":
        table = pa.table({"image": ["a.jpg"], "text": ["x" * 4_000_000]})
        pq.write_table(table, tmp_path / name, compression="zstd")
    else:
        table_with(tmp_path / name, b"y" * 4_000_000)
    with pytest.raises(OpenAlignError, match=rf"{name} .*its [\d,]+ bytes decompress to more than [\d,]+"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2"])
@pytest.mark.parametrize("name", [*LINES, "t.json"])
def test_a_compressed_table_is_read_as_the_plain_one(tmp_path: Path, name: str, suffix: str) -> None:
    if name == "t.json":
        (tmp_path / name).write_text('[{"file": "a.jpg", "text": "x"}, {"file": "b.jpg", "text": "y"}]')
    else:
        table_with(tmp_path / name, "é".encode(), "x")
    with pa.CompressedOutputStream(str(tmp_path / f"{name}{suffix}"), suffixes.PACKINGS[suffix]) as stream:
        stream.write((tmp_path / name).read_bytes())
    assert read_table(tmp_path / f"{name}{suffix}").equals(read_table(tmp_path / name))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("word", ["a red apple", "苹果在桌子上", "Красное яблоко"])
@pytest.mark.parametrize("name", [*LINES, "t.json"])
def test_utf16_without_a_mark_is_read(tmp_path: Path, name: str, word: str, encoding: str) -> None:
    header, line = LINES.get(name, ("", '[{{"file": "{0}.jpg", "text": "{1}"}}]'))
    (tmp_path / name).write_bytes((header + line.format(0, word)).encode(encoding))
    problems: list[str] = []
    assert read_table(tmp_path / name, problems=problems)["text"].to_pylist() == [word]
    assert f"is read as {encoding}" in problems[0]


def test_a_file_of_good_and_bad_lines_is_utf8(tmp_path: Path) -> None:
    lines = [b"file,text", "a.jpg,café".encode(), *[b"b.jpg,caf\xe9"] * 3, "c.jpg,苹果".encode()]
    (tmp_path / "t.csv").write_bytes(b"\n".join(lines))
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["text"].to_pylist() == ["café", "苹果"]
    assert counted(problems) == {"rows that cannot be parsed": 3}
