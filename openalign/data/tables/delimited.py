"""Tables of delimited text (CSV, TSV), with or without a header line."""

import csv
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from openalign.data.tables.suffixes import table_suffix
from openalign.data.tables.text_source import MOST_LINE_BYTES, TableSource
from openalign.errors import OpenAlignError

_BLOCK_BYTES = 1 << 20


def read_delimited(source: TableSource, problems: list[str], block_bytes: int = _BLOCK_BYTES) -> pa.Table:
    """Read a CSV or TSV table, all columns as strings; rows with too many or too few fields are left out.

    A `.csv` may be separated by commas, tabs, semicolons or `|`. Raises what pyarrow does, or `UnicodeDecodeError`.
    """
    path, header = source.path, _first_line(source)
    delimiter = "\t" if table_suffix(path) == ".tsv" else _delimiter(header)
    fields = next(csv.reader([header], delimiter=delimiter), [])
    names = _names_without_header(fields)
    headless = names is not None

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        problems.append(
            f"{path} row {row.number - 1 + headless} has {row.actual_columns} fields where "
            f"{row.expected_columns} are expected, and is left out"
        )
        return "skip"

    # CC3M is published without a header, and quotation marks in it are plain characters.
    parse = pyarrow.csv.ParseOptions(
        delimiter=delimiter,
        quote_char=False if headless and delimiter == "\t" else '"',
        newlines_in_values=True,
        invalid_row_handler=skip,
    )
    # Row numbers of invalid rows are known in single-threaded mode only.
    read = pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=block_bytes)
    strings = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names or fields})
    with source.stream() as stream:
        return pyarrow.csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=strings)


def read_delimited_by_line(source: TableSource, problems: list[str]) -> pa.Table:
    """Read a file with lines that are too long or not UTF-8, leaving out their rows."""
    marked, mark = source.with_bad_lines_marked(problems)
    try:
        table = read_delimited(marked, problems, MOST_LINE_BYTES)
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error):
            raise
        raise OpenAlignError(
            f"{source.path} has a row of more than {MOST_LINE_BYTES >> 20} MB that spans several lines: "
            "close its quotation mark, or remove it"
        ) from None
    if any(mark in name for name in table.column_names):
        raise OpenAlignError(f"{problems[0].partition(', and its row')[0]}: it is the header, so correct it")
    left_out = pa.array(np.zeros(len(table), np.bool_))
    for column in table.columns:
        left_out = pc.or_(left_out, pc.fill_null(pc.match_substring(column, mark), False))
    return table.filter(pc.invert(left_out))


def _first_line(source: TableSource) -> str:
    with source.stream() as stream:
        start: bytes = stream.read(1 << 20)
    return (start.splitlines()[0] if start else b"").decode("utf-8-sig")


def _delimiter(header: str) -> str:
    return max(",\t;|", key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def _names_without_header(fields: Sequence[str]) -> list[str] | None:
    """`text` and `image` in their order if the first row is one text and one URL, so not a header; else None."""
    are_urls = [field.strip().lower().startswith(("http://", "https://")) for field in fields]
    if len(fields) != 2 or sum(are_urls) != 1:
        return None
    return ["image", "text"] if are_urls[0] else ["text", "image"]
