"""Untrusted Parquet files, checked before their rows are used."""

import codecs
import re
from collections.abc import Collection
from itertools import islice
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.data.files.text_source import check_unpacked, is_utf8
from openalign.data.left_out import Kind, listing
from openalign.data.tables.plain_types import with_leaves

_VALUES_TRIED = 20
_BYTES_TRIED = 256
"""By which is told whether bytes are texts."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_parquet(source: Path | pa.NativeFile, most_rows: int | None = None) -> pa.Table:
    """The table of a Parquet file after checking page checksums (if it has any), row counts and texts.

    Raises whatever pyarrow does, or `ValueError`, if it is damaged, has more than `most_rows` or unpacks to too much.
    """
    table = read_unvalidated(source, most_rows)
    table.validate(full=True)  # the reader itself accepts texts that are not UTF-8
    return table


def read_unvalidated(source: Path | pa.NativeFile, most_rows: int | None = None) -> pa.Table:
    """`read_parquet` without the check of the texts."""
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        rows = file.metadata.num_rows
        if most_rows is not None and rows > most_rows:
            raise ValueError(f"it has {rows:,} rows; up to {most_rows:,} are read")
        stored = source.stat().st_size if isinstance(source, Path) else source.size()
        check_unpacked(sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)), stored)
        table = file.read()
    if len(table) != rows:
        raise ValueError(f"it has {len(table):,} rows, but its footer says {rows:,}")
    return table


def with_valid_texts(table: pa.Table, path: Path | str, problems: list[str]) -> pa.Table:
    """The rows whose texts are UTF-8; the others are added to `problems`."""
    try:
        table.validate(full=True)
        return table
    except pa.ArrowInvalid:
        is_bad = np.zeros(len(table), np.bool_)
    for column in table.columns:
        kind = _with_bytes(column.type)
        if kind != column.type:
            is_bad |= np.array([not _is_valid(value) for value in column.cast(kind).to_pylist()], np.bool_)
    good = table.filter(pa.array(~is_bad))
    good.validate(full=True)
    with listing(problems, path) as left_out:
        for row in np.flatnonzero(is_bad).tolist():
            left_out.add(Kind.ROW_NOT_PARSED, f"{path} row {row + 1} is not UTF-8, and is left out")
    return good


def with_texts_of_bytes(table: pa.Table, columns: Collection[str]) -> pa.Table:
    """The table with texts in place of bytes in those of `columns` of whose first values half are texts.

    Older versions of Spark, Impala and Hive write texts so (`spark.sql.parquet.binaryAsString`). They are not checked.
    """
    for at, column in enumerate(table.columns):
        name = table.schema.field(at).name
        if name in columns and _are_texts(column):
            kind = pa.large_string() if pa.types.is_large_binary(column.type) else pa.string()
            texts = pa.chunked_array([chunk.view(kind) for chunk in column.chunks], kind)
            table = table.set_column(at, name, texts)
    return table


def _are_texts(column: pa.ChunkedArray) -> bool:
    """Whether half of the first values of a column of bytes are UTF-8 without control characters, and no SVG."""
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return False
    first = islice((value.as_py() for chunk in column.chunks for value in chunk if value.is_valid), _VALUES_TRIED)
    filled = [value for value in first if value.strip()]
    return bool(filled) and 2 * sum(map(_is_text, filled)) >= len(filled)


def _is_text(value: bytes) -> bool:
    try:
        whole = len(value) <= _BYTES_TRIED
        text = codecs.getincrementaldecoder("utf-8")().decode(value[:_BYTES_TRIED], final=whole)
    except UnicodeDecodeError:
        return False
    return not (_CONTROL.search(text) or text.lstrip("\ufeff \r\n").startswith("<"))


def partition_values(path: Path | str) -> dict[str, str | None]:
    """The values that the folders right above a file give its rows, as Hive and Spark name them: `lang=en/year=2021/`.

    Source: the Hive partitioning of Spark and of Arrow's data sets; a value is URL-encoded there.
    """
    found: dict[str, str | None] = {}
    for folder in reversed(PurePath(path).parts[:-1]):
        name, is_partition, value = folder.partition("=")
        if not (name and is_partition):
            break
        found[unquote(name)] = None if value == _NO_VALUE else unquote(value)
    return dict(reversed(found.items()))


def with_partition_columns(table: pa.Table, values: dict[str, str | None]) -> pa.Table:
    """The table with a column of text for each partition that it has no column of."""
    for name, value in values.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
    return table


def _with_bytes(kind: pa.DataType) -> pa.DataType:
    """A type with bytes in place of texts."""
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.large_binary() if is_text else with_leaves(kind, _with_bytes)


def _is_valid(value: Any) -> bool:
    """Whether all bytes in a value are UTF-8."""
    if isinstance(value, bytes):
        return is_utf8(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_is_valid, inner))
