"""Tables of images and texts: CSV, TSV, JSON Lines, Parquet, read by pyarrow, columns found by their usual names."""

from pathlib import Path

import pyarrow as pa

from openalign.data.tables.columns import with_named_columns
from openalign.data.tables.delimited import read_delimited, read_delimited_by_line
from openalign.data.tables.json_lines import read_json_lines
from openalign.data.tables.parquet import read_unvalidated, with_valid_texts
from openalign.data.tables.suffixes import DELIMITED, JSON_LINES, table_suffix
from openalign.data.tables.text_source import TableSource
from openalign.errors import OpenAlignError


def read_table(
    path: Path | str,
    image_column: str | None = None,
    text_column: str | None = None,
    *,
    need_text: bool = True,
    problems: list[str] | None = None,
) -> pa.Table:
    """Read a table (path or URL): columns `image` (string), `text` (string), then the others; rows in order.

    CSV and TSV columns are all strings; JSON Lines and Parquet keep their types. A line that cannot be parsed is left
    out and added to `problems`. So is a note on a file that is not UTF-8, whose encoding is guessed. Another column
    that is already called `image` or `text` is left out.
    Raises `OpenAlignError` if columns are missing, there are no rows, or the file is not a table or not text.
    """
    table = read_raw_table(path, image_column, text_column, [] if problems is None else problems)
    return with_named_columns(table, str(path), image_column, text_column, need_text)


def read_raw_table(
    path: Path | str, image_column: str | None, text_column: str | None, problems: list[str]
) -> pa.Table:
    """Read a table with its columns as they are; `problems` and errors are those of `read_table`."""
    try:
        source = TableSource.of(path)
        if source.is_empty():
            raise OpenAlignError(f"{path} is empty: it needs a header line and one row per image")
        table, noted = _read(source, image_column, text_column)
        problems += noted
    except OpenAlignError:
        raise
    except Exception as error:  # the readers raise most of the built-in exceptions on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OpenAlignError(f"{path} cannot be read as a table: {reason}") from None
    if len(table) == 0:
        first = f". The first problem: {noted[0]}" if noted else ""
        raise OpenAlignError(f"{path} has no rows: it needs one per image{first}")
    return table


def _read(source: TableSource, image_column: str | None, text_column: str | None) -> tuple[pa.Table, list[str]]:
    """The table, in whatever encoding, and its problems."""
    problems: list[str] = []
    suffix = table_suffix(source.path)
    try:
        if suffix in DELIMITED:
            return read_delimited(source, problems), problems
        if suffix in JSON_LINES:
            return read_json_lines(source, image_column, text_column, problems), problems
        table = read_unvalidated(source.path if isinstance(source.path, Path) else source.stream())
        return with_valid_texts(table, source.path, problems), problems
    except (pa.ArrowException, UnicodeDecodeError):
        if suffix == ".parquet":
            raise
    source, problems = source.converted_to_utf8()
    if suffix in DELIMITED:
        return read_delimited_by_line(source, problems), problems
    return read_json_lines(source, image_column, text_column, problems), problems
