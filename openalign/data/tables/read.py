"""Tables of images and texts: CSV, TSV, JSON, Parquet, read by pyarrow, columns found by what they hold and names."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from openalign.data.conversations import with_captions
from openalign.data.files.damage import packed_unnamed, reason_of, what_it_is
from openalign.data.files.fields import AreImages
from openalign.data.files.text_source import TableSource
from openalign.data.tables.captions import captions_as_rows
from openalign.data.tables.class_names import class_names, with_class_names
from openalign.data.tables.columns import (
    IMAGE_NAMES,
    LABEL_NAMES,
    TEXT_NAMES,
    choose_columns,
    usual_name,
    with_named_columns,
)
from openalign.data.tables.delimited import read_delimited, read_delimited_by_line
from openalign.data.tables.dialect import Dialect, with_tabs, without_comments
from openalign.data.tables.json_lines import read_json_lines
from openalign.data.tables.json_tables import read_json_table, starts_with_list
from openalign.data.tables.parquet import (
    partition_values,
    read_unvalidated,
    with_partition_columns,
    with_texts_of_bytes,
    with_valid_texts,
)
from openalign.data.tables.plain_types import with_plain_types
from openalign.data.tables.suffixes import DELIMITED, JSON, JSON_LINES, TEXTS, packing_of, table_suffix
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

    A list of captions makes a row of each. CSV and TSV columns are all strings; JSON and Parquet keep their types. A
    line that cannot be parsed is left out and added to `problems`. So is a note on a file that is not UTF-8, whose
    encoding is guessed. Another column that is already called `image` or `text` is left out.
    Raises `OpenAlignError` if columns are missing, there are no rows, or the file is not a table or not text.
    """
    told = [] if problems is None else problems
    table = read_raw_table(path, image_column, text_column, told)
    chosen = choose_columns(table.schema, image_column, text_column, need_text=need_text, where=str(path))
    told += chosen.notes
    table, _ = captions_as_rows(table, chosen.text or "", need_text, told, str(path))
    return with_named_columns(table, str(path), chosen.image, chosen.text, need_text)


def read_raw_table(
    path: Path | str,
    image_column: str | None,
    text_column: str | None,
    problems: list[str],
    are_images: AreImages | None = None,
) -> pa.Table:
    """Read a table with its columns as they are; `problems` and errors are those of `read_table`.

    Numbers of classes are replaced by names where the data set has them, and the values of partitions (`lang=en/`)
    are columns. `are_images` tells ids of images from the names of columns (see `Dialect.of`).
    """
    noted: list[str] = []
    try:
        source = TableSource.of(path, packing_of(path))
        if source.is_empty():
            raise OpenAlignError(f"{path} is empty: it needs a header line and one row per image")
        start = source.stored_start()
        if what := what_it_is(start) or ("" if packing_of(path) else packed_unnamed(path, start)):
            raise OpenAlignError(f"{path} cannot be read as a table: {what}")
        table = _read(source, _Asked(image_column, text_column, are_images), noted)
        table = with_captions(table, str(path), noted)
        problems += noted
    except OpenAlignError:
        raise
    except Exception as error:  # the readers raise most of the built-in exceptions on damaged files
        raise OpenAlignError(f"{path} cannot be read as a table: {reason_of(error)}") from None
    if len(table) == 0:
        first = f". The first problem: {noted[0]}" if noted else ""
        raise OpenAlignError(f"{path} has no rows: it needs one per image{first}")
    return table


@dataclass(frozen=True)
class _Asked:
    """What the caller of `read_raw_table` says about the columns."""

    image_column: str | None
    text_column: str | None
    are_images: AreImages | None

    def dialect(self, source: TableSource) -> Dialect:
        return Dialect.of(source, self.image_column, self.text_column, are_images=self.are_images)


def _read(source: TableSource, asked: _Asked, problems: list[str]) -> pa.Table:
    suffix = table_suffix(source.path, named=True)
    if suffix == ".parquet":
        return _read_parquet(source, asked, problems)
    if source.is_utf16():
        source, problems[:] = source.converted_to_utf8()
    if suffix in (*DELIMITED, *TEXTS):
        source = without_comments(source.after_separator_line())
    if suffix in TEXTS:
        source = with_tabs(source, asked.are_images)
    if suffix not in (*DELIMITED, *TEXTS) and (suffix == JSON or starts_with_list(source)):
        table = read_json_table(source, problems)
        if table is not None:
            return table
    found: list[str] = []
    try:
        table = _read_text(source, asked, found)
        problems += found
        return table
    except (pa.ArrowException, UnicodeError):
        source, converted = source.converted_to_utf8()
        problems += converted
    if suffix in (*DELIMITED, *TEXTS):
        dialect = asked.dialect(source)
        problems += [dialect.note] if dialect.note else []
        return read_delimited_by_line(source, dialect, problems)
    return read_json_lines(source, asked.image_column, asked.text_column, problems)


def _read_text(source: TableSource, asked: _Asked, problems: list[str]) -> pa.Table:
    """The table of a file that is UTF-8. Raises what pyarrow does, or `UnicodeDecodeError`, if it is not."""
    if table_suffix(source.path, named=True) in (*JSON_LINES, JSON):
        return read_json_lines(source, asked.image_column, asked.text_column, problems)
    dialect = asked.dialect(source)
    if any("\ufffd" in name for name in dialect.names):
        raise UnicodeError("the header is not UTF-8")
    problems += [dialect.note] if dialect.note else []
    return read_delimited(source, dialect, problems)


def _read_parquet(source: TableSource, asked: _Asked, problems: list[str]) -> pa.Table:
    table = read_unvalidated(source.path if isinstance(source.path, Path) else source.stream())
    schema = table.schema
    usual = [name for name in schema.names if usual_name([name], (*IMAGE_NAMES, *TEXT_NAMES, *LABEL_NAMES))]
    table = with_texts_of_bytes(with_plain_types(table), [*usual, asked.image_column or "", asked.text_column or ""])
    table = with_valid_texts(table, source.path, problems)
    table = with_partition_columns(table, partition_values(source.path))
    folder = source.path.absolute().parent if isinstance(source.path, Path) else None
    return with_class_names(table, class_names(schema, folder), str(source.path), problems)
