"""Quotation marks that enclose no field are told from those that do."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.files.quotes import has_stray_quotes
from openalign.data.tables.read import read_table

TEXTS = st.text(st.sampled_from(list('ab ",\t;|\n\\é')), max_size=12)


@pytest.mark.slow
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=6),
    delimiter=st.sampled_from(",\t;|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_well_formed_table_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], delimiter: str, quoting: int
) -> None:
    path = tmp_path_factory.mktemp("tables") / ("t.tsv" if delimiter == "\t" else "t.csv")
    rows = [(f"{number}.jpg", text) for number, text in enumerate(texts)]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows([("file", "text"), *rows])
    path.write_text(written.getvalue(), encoding="utf-8", newline="")
    assert [tuple(row.values()) for row in read_table(path).to_pylist()] == rows


@pytest.mark.slow
@given(
    texts=st.lists(st.text(st.sampled_from(list('ab "é')), min_size=1, max_size=12), min_size=1, max_size=8),
    swapped=st.booleans(),
)
def test_an_unquoted_tsv_loses_no_row_and_no_caption(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], swapped: bool
) -> None:
    """Written without any quoting: each mark is part of a text, but for a text that marks enclose as CSV has it."""
    path = tmp_path_factory.mktemp("tables") / "t.tsv"
    rows = [(f"{number}.jpg", text) for number, text in enumerate(texts)]
    lines = [("file", "text"), *rows]
    path.write_text("".join("\t".join(row[::-1] if swapped else row) + "\n" for row in lines), encoding="utf-8")
    found = read_table(path).select(["image", "text"]).to_pylist()
    assert [row["image"] for row in found] == [image for image, _ in rows]
    for row, text in zip(found, texts, strict=True):
        is_enclosed = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('""', "")
        assert row["text"] == (text[1:-1].replace('""', '"') if is_enclosed else text)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz"])
def test_an_unclosed_mark_swallows_no_row(tmp_path: Path, name: str) -> None:

    separator = "\t" if ".tsv" in name else ","
    lines = ["image,text", '1.jpg,"Love is all', "2.jpg,a dog", '3.jpg,"a cat"', '4.jpg,"Blue" door', "5.jpg,x"]
    data = "\n".join(lines).replace(",", separator).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert table["text"].to_pylist() == ['"Love is all', "a dog", "a cat", '"Blue" door', "x"]
    assert problems == [
        f"{tmp_path / name}: 2 rows have quotation marks that do not enclose a field, the first in line 2: "
        "they are read as part of the text"
    ]


def test_marks_with_backslashes_as_spark_writes_them_are_unescaped(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('file,text\na.jpg,"a \\"big\\" dog, brown"\nb.jpg,"a cat"\n')
    assert read_table(tmp_path / "t.csv")["text"].to_pylist() == ['a "big" dog, brown', "a cat"]


def test_a_field_of_several_lines_is_one_even_where_a_line_looks_like_prose_with_a_comma(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('file,text\na.jpg,"one\ntwo, three\nfour ""x"" y"\nb.jpg,z\n')
    assert read_table(tmp_path / "t.csv")["text"].to_pylist() == ['one\ntwo, three\nfour "x" y', "z"]


@pytest.mark.parametrize("block", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "is_stray"),
    [
        (b'a,b\nx,"y"\n', False),
        (b'a,b\nx,"y ""z"""\n"p",q', False),
        (b'a,b\nx,"y" z\n', True),
        (b'a,b\nx,5" wide\n', True),
        (b'a,b\nx,"y\n', True),
    ],
)
def test_stray_marks_are_found_whatever_the_blocks(data: bytes, is_stray: bool, block: int) -> None:
    blocks = [data[start : start + block] for start in range(0, len(data), block)]
    assert has_stray_quotes(blocks, ",") == is_stray
