"""The index file beside a shard (its sidecar), which strangers may have written: checked before a row of it is used."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.data.tables.parquet import read_parquet
from openalign.errors import OpenAlignError

INDEX_SCHEMA = pa.schema(
    [("key", pa.string()), ("text", pa.string()), ("image_offset", pa.int64()), ("image_size", pa.int64())]
)
"""The columns every index has; a sample's metadata adds more."""

DIGEST = "image_digest"
"""The column of `digest_of` each stored image. Indexes of older versions and those read out of a tar have none."""
DIGEST_BYTES = 16

MAX_IMAGE_BYTES = 1 << 30
"""A larger image is refused: more than `MAX_PIXELS` of 8 bytes each, and memory is spent on it before it is decoded."""
MAX_ROWS = 10_000_000
"""An index of more rows is refused before it is read; the shards that tools write have about 10,000."""
_SHAPE = b"openalign_shape"
"""Where the file's metadata keep the digest of its columns' names and types and number of rows, which no page checksum
guards."""
_END_OF_TAR = bytes(1024)


def digest_of(image: bytes) -> bytes:
    """What the index keeps of a stored image: BLAKE2b of 16 bytes."""
    return hashlib.blake2b(image, digest_size=DIGEST_BYTES).digest()


def write_sidecar(table: pa.Table, path: Path) -> None:
    """Write an index as Parquet, with a checksum of each page, and one of what its footer says."""
    pq.write_table(table.replace_schema_metadata({_SHAPE: _shape_of(table)}), path, write_page_checksum=True)


def read_sidecar(name: str, data: bytes, tar: Path | None = None) -> pa.Table:
    """The index in `data`, the content of the file `name`: its columns those of `INDEX_SCHEMA`, then the others.

    `tar`, where it lies on this machine, must hold what the index says, unless it was cut off: then the images behind
    its end are missed when they are read.
    Raises `OpenAlignError` naming the file, the row (from 1) and the column that cannot be right.
    """
    try:
        table = _with_types(_parse(data))
        _check_rows(table)
        _check_ranges(table, None if tar is None or not _is_whole(tar) else tar.stat().st_size)
    except Exception as error:  # pyarrow raises most of the built-in exceptions on damaged Parquet
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise OpenAlignError(
            f"{name} cannot be read as an index ({reason}): delete it, and the tar is read instead"
        ) from None
    return table


def _parse(data: bytes) -> pa.Table:
    table = read_parquet(pa.BufferReader(data), MAX_ROWS)
    if (table.schema.metadata or {}).get(_SHAPE, _shape_of(table)) != _shape_of(table):
        raise ValueError("it has other columns or another number of rows than were written")
    return table


def _shape_of(table: pa.Table) -> bytes:
    # How a type of lists is called may change with pyarrow and on the way through Parquet.
    types = ["" if pa.types.is_nested(field.type) else str(field.type) for field in table.schema]
    return digest_of(repr((len(table), table.column_names, types)).encode()).hex().encode()


def _with_types(table: pa.Table) -> pa.Table:
    """The table with the columns of `INDEX_SCHEMA` first, in its types, and the digests as bytes of fixed length."""
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
    alike = (
        pa.types.is_integer(kind)
        if pa.types.is_integer(field.type)
        else pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if pa.types.is_string(field.type)
        else kind == field.type
    )
    if not alike and not (field.name == "text" and pa.types.is_null(kind)):
        raise ValueError(f"its column {field.name} holds {kind}, not {field.type}")
    return column.cast(field.type)


def _check_rows(table: pa.Table) -> None:
    for name in ("key", "image_offset", "image_size"):
        _refuse(table, pc.is_null(table[name]), name)
    for name in ("image_offset", "image_size"):
        _refuse(table, pc.less(table[name], 0), name)
    _refuse(table, pc.greater(table["image_size"], MAX_IMAGE_BYTES), "image_size")


def _check_ranges(table: pa.Table, tar_size: int | None) -> None:
    """Refuse images that reach behind the end of a whole tar, or into each other; several rows may share an image."""
    offsets, sizes = (table[name].to_numpy() for name in ("image_offset", "image_size"))
    if tar_size is not None:
        _refuse(table, pa.array(offsets > tar_size - sizes), "image_offset")
    order = np.lexsort((sizes, offsets))
    order = order[sizes[order] > 0]
    starts, lengths = offsets[order], sizes[order]
    same = (starts[1:] == starts[:-1]) & (lengths[1:] == lengths[:-1])
    overlaps = (starts[1:] - starts[:-1] < lengths[:-1]) & ~same
    wrong: NDArray[np.bool_] = np.zeros(len(table), np.bool_)
    wrong[order[1:][overlaps]] = True
    _refuse(table, pa.array(wrong), "image_offset")


def _refuse(table: pa.Table, wrong: pa.Array | pa.ChunkedArray, column: str) -> None:
    first = pc.index(wrong, True).as_py()
    if first >= 0:
        raise ValueError(f"its row {first + 1} has {column} {table[column][first].as_py()}, which cannot be")


def _is_whole(tar: Path) -> bool:
    """Whether a tar ends as one does that was not cut off: with two empty blocks."""
    with tar.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_END_OF_TAR)))
        return file.read() == _END_OF_TAR
