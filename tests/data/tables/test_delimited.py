"""CSV and TSV: separators, headers, and rows with lines that cannot be read."""

import csv
import io
from pathlib import Path

import pytest

from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError
from tests.data.tables.long_tables import table_with

ROWS = [("a.jpg", 'hello, "x" \nyou'), ("b.jpg", "NA"), ("c d.jpg", "Über die Brücke; 苹果 | \t")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_every_separator_is_recognised_with_and_without_byte_order_mark(
    tmp_path: Path, separator: str, start: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([("File", "Caption"), *ROWS])
    path = tmp_path / "table.csv"
    path.write_text(start + text.getvalue(), encoding="utf-8", newline="")
    assert read_table(path).to_pylist() == [{"image": image, "text": text} for image, text in ROWS]


def test_columns_of_a_csv_stay_strings(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,text,label\na.jpg,12,007\n")
    assert read_table(path).to_pylist() == [{"image": "a.jpg", "text": "12", "label": "007"}]


def test_cc3m_as_published_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text('two "dogs"\thttp://a.test/1.jpg\n"a quote\thttp://a.test/2.jpg\n')
    assert read_table(path).to_pylist() == [
        {"image": "http://a.test/1.jpg", "text": 'two "dogs"'},
        {"image": "http://a.test/2.jpg", "text": '"a quote'},
    ]


def test_a_line_in_no_known_encoding_is_left_out_with_all_lines_of_its_row(tmp_path: Path) -> None:
    odd = bytes(range(128, 256)) * 40
    others = table_with(tmp_path / "t.csv", b'"first ""line"",\r\n' + odd + b'\nthird"')
    problems: list[str] = []
    assert read_table(tmp_path / "t.csv", problems=problems)["image"].to_pylist() == others
    assert problems == [f"{tmp_path}/t.csv line 503 is not UTF-8, and its row is left out"]


def test_a_header_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,text," + bytes(range(128, 256)) * 40 + b"\na.jpg,x,y\n")
    with pytest.raises(OpenAlignError, match=r"t\.csv line 1 is not UTF-8: it is the header"):
        read_table(tmp_path / "t.csv")
