"""The rows of tables that are too large to be read at once: counted block by block, and the first of them read."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from openalign.data.tables.dialect import Dialect
from openalign.data.tables.suffixes import DELIMITED, table_suffix

LARGE_BYTES = 64 << 20
"""Tables of more bytes are not read as a whole."""
_HEAD_BYTES = 4 << 20
_HEAD_ROWS = 20_000
_BLOCK_BYTES = 2 << 20


@dataclass(frozen=True)
class Counts:
    """The rows of a table."""

    rows: int
    without_text: int = 0
    not_parsed: int = 0
    exact: bool = True
    """False: by the size of the first rows, since they could not be counted."""


@contextmanager
def head_of(table: Path) -> Iterator[Path]:
    """A file of the same name with the first rows of a table, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="openalign-"))
    try:
        head = folder / table.name
        if table_suffix(table) == ".parquet":
            _write_parquet_head(table, head)
        else:
            _write_text_head(table, head)
        yield head
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_parquet_head(table: Path, head: Path) -> None:
    with pq.ParquetFile(table) as file, pq.ParquetWriter(head, file.schema_arrow) as writer:
        held = 0
        for batch in file.iter_batches(256):
            writer.write_batch(batch)
            held += len(batch)
            if held >= _HEAD_ROWS or writer.file_handle.tell() > _HEAD_BYTES:
                return


def _write_text_head(table: Path, head: Path) -> None:
    with pa.input_stream(str(table)) as stream:
        start: bytes = stream.read(_HEAD_BYTES)
    whole = start[: start.rfind(b"\n") + 1] or start
    with pa.output_stream(str(head)) as out:
        out.write(whole)


def count_rows(
    table: Path, text: str | None, names: list[str] | None = None, *, has_whole_texts: bool = False
) -> Counts:
    """The rows of a table whose text column is `text`; `names` are its columns where it has no header.

    `has_whole_texts`: its texts hold the delimiter, without quotation marks.
    """
    try:
        if table_suffix(table) == ".parquet":
            return _count_parquet(table, text)
        if table_suffix(table) in DELIMITED:
            return _count_delimited(table, text, names, has_whole_texts)
        return _count_lines(table)
    except (pa.ArrowException, UnicodeDecodeError):
        return _count_lines(table, exact=False)


def _count_parquet(table: Path, text: str | None) -> Counts:
    with pq.ParquetFile(table) as file:
        if text is None or text not in file.schema_arrow.names:
            return Counts(file.metadata.num_rows)
        rows = without = 0
        for batch in file.iter_batches(1 << 16, columns=[text]):
            captions = batch.column(0)
            kind = captions.type
            if pa.types.is_list(kind) or pa.types.is_large_list(kind):
                empty = pc.sum(pc.equal(pc.fill_null(pc.list_value_length(captions), 0), 0)).as_py() or 0
                without += empty
                rows += empty
                captions = pc.list_flatten(captions)
            rows += len(captions)
            without += _blank(captions)
    return Counts(rows, without)


def _count_delimited(table: Path, text: str | None, names: list[str] | None, has_whole_texts: bool) -> Counts:
    invalid = longer = 0

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        nonlocal invalid, longer
        is_read = has_whole_texts and dialect.with_whole_text(row.text.encode()) is not None
        longer, invalid = longer + is_read, invalid + (not is_read)
        return "skip"

    with pa.input_stream(str(table)) as stream:
        first = stream.read(1 << 16).splitlines()[0].decode("utf-8-sig")
    delimiter = "\t" if ".tsv" in table.name else max(",\t;|", key=first.count)
    dialect = Dialect(delimiter, names or [], bool(names))
    has_quotes = not (has_whole_texts or (names and delimiter == "\t"))
    parse = pyarrow.csv.ParseOptions(
        delimiter=delimiter,
        quote_char='"' if has_quotes else False,
        newlines_in_values=True,
        invalid_row_handler=skip,
    )
    read = pyarrow.csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES)
    columns = pyarrow.csv.ConvertOptions(include_columns=[text] if text else [], column_types={text or "": pa.string()})
    rows = without = 0
    with pa.input_stream(str(table)) as stream, pyarrow.csv.open_csv(stream, read, parse, columns) as batches:
        for batch in batches:
            rows += len(batch)
            without += _blank(batch.column(0)) if text else 0
    return Counts(rows + longer, without, invalid)


def _count_lines(table: Path, *, exact: bool = True) -> Counts:
    rows, end = 0, b"\n"
    with pa.input_stream(str(table)) as stream:
        while block := stream.read(_BLOCK_BYTES):
            rows += block.count(b"\n")
            end = block[-1:]
    rows += end != b"\n"
    return Counts(rows - (table_suffix(table) in DELIMITED), exact=exact)


def _blank(texts: pa.Array) -> int:
    """The number of values without a character."""
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return int(texts.null_count)
    filled = pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0), False)
    return len(texts) - int(pc.sum(filled).as_py() or 0)
