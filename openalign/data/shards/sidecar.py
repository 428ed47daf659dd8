"""The index file beside a shard (its sidecar): untrusted, so it is checked before a row of it is used."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.data.files.damage import reason_of
from openalign.data.tables.parquet import read_parquet
from openalign.errors import OpenAlignError

INDEX_SCHEMA = pa.schema(
    [("key", pa.string()), ("text", pa.string()), ("image_offset", pa.int64()), ("image_size", pa.int64())]
)
"""The columns of every index; metadata of the samples adds more."""

DIGEST = "image_digest"
"""The column with `digest_of` each stored image; absent from indexes of older versions and those read from a tar."""
DIGEST_BYTES = 16

MAX_IMAGE_BYTES = 1 << 30
"""Larger image files are refused, since they are read into memory; `MAX_PIXELS` at 8 bytes each fit."""
MAX_ROWS = 10_000_000
"""An index with more rows is refused before it is read; usual shards have about 10,000."""
_SHAPE = b"openalign_shape"
"""Metadata key of the digest of column names, types and row count, which page checksums do not cover."""
_MAX_TAR_BYTES = 1 << 50


def digest_of(image: bytes) -> bytes:
    """The digest that the index records of a stored image: BLAKE2b, 16 bytes."""
    return hashlib.blake2b(image, digest_size=DIGEST_BYTES).digest()


def write_sidecar(table: pa.Table, path: Path) -> None:
    """Write an index as Parquet with a checksum of each page and of the schema in the footer."""
    pq.write_table(table.replace_schema_metadata({_SHAPE: _shape_of(table)}), path, write_page_checksum=True)


def read_sidecar(name: str, data: bytes) -> pa.Table:
    """Parse `data`, the content of the index file `name`: the columns of `INDEX_SCHEMA`, then the others.

    Whether it is the index of its tar is for `matching` to find out.
    Raises `OpenAlignError` naming the file, the row (from 1) and the column with an impossible value.
    """
    try:
        table = _with_types(_parse(data))
        _check_rows(table)
        _check_ranges(table)
    except Exception as error:  # pyarrow raises most of the built-in exceptions on damaged Parquet
        reason = reason_of(error, data)
        raise OpenAlignError(
            f"{name} cannot be read as an index ({reason}): delete it, and the tar is read instead"
        ) from None
    return table


def _parse(data: bytes) -> pa.Table:
    table = read_parquet(pa.BufferReader(data), MAX_ROWS)
    written = (table.schema.metadata or {}).get(_SHAPE)
    if written is not None and written != _shape_of(table):
        raise ValueError("its columns or its number of rows differ from what was written")
    return table


def _shape_of(table: pa.Table) -> bytes:
    # Names of nested types depend on the pyarrow version and do not survive Parquet unchanged.
    types = ["" if pa.types.is_nested(field.type) else str(field.type) for field in table.schema]
    return digest_of(repr((len(table), table.column_names, types)).encode()).hex().encode()


def _with_types(table: pa.Table) -> pa.Table:
    """The table with the columns of `INDEX_SCHEMA` first, cast to its types, and digests of fixed length."""
    columns = {field.name: _cast(table, field) for field in INDEX_SCHEMA}
    if DIGEST in table.column_names:
        columns[DIGEST] = _cast(table, pa.field(DIGEST, pa.binary(DIGEST_BYTES)))
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns.setdefault(name, column)
    return pa.table(columns)


def _cast(table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    found = table.schema.get_all_field_indices(field.name)
    if len(found) != 1:
        raise ValueError(f"it has {len(found) or 'no'} columns {field.name}")
    column = table.column(found[0])
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    castable = (
        pa.types.is_integer(kind)
        if pa.types.is_integer(field.type)
        else pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if pa.types.is_string(field.type)
        else kind == field.type
    )
    if not castable and not (field.name == "text" and pa.types.is_null(kind)):
        raise ValueError(f"its column {field.name} holds {kind}, not {field.type}")
    return column.cast(field.type)


def _check_rows(table: pa.Table) -> None:
    for name in ("key", "image_offset", "image_size"):
        if table[name].null_count:
            _refuse(table, pc.is_null(table[name]), name)
    for name, most in (("image_offset", _MAX_TAR_BYTES), ("image_size", MAX_IMAGE_BYTES)):
        values = table[name].to_numpy()
        _refuse(table, (values < 0) | (values > most), name)


def _check_ranges(table: pa.Table) -> None:
    """Refuse images that overlap; several rows may share one image."""
    offsets, sizes = (table[name].to_numpy() for name in ("image_offset", "image_size"))
    if (offsets[1:] - offsets[:-1] >= sizes[:-1]).all():  # in order, as usual
        return
    order = np.lexsort((sizes, offsets))
    order = order[sizes[order] > 0]
    starts, lengths = offsets[order], sizes[order]
    same = (starts[1:] == starts[:-1]) & (lengths[1:] == lengths[:-1])
    overlaps = (starts[1:] - starts[:-1] < lengths[:-1]) & ~same
    wrong: NDArray[np.bool_] = np.zeros(len(table), np.bool_)
    wrong[order[1:][overlaps]] = True
    _refuse(table, wrong, "image_offset")


def _refuse(table: pa.Table, wrong: pa.ChunkedArray | NDArray[np.bool_], column: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise ValueError(f"its row {rows[0] + 1} has {column} {table[column][rows[0]].as_py()}, which is impossible")
