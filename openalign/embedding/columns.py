"""The columns of a partition, and the Parquet file that holds them."""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Vector16 = NDArray[np.float16]

DIGEST_BYTES = 16
_AS_THEY_ARE = ("digest", "vector", "text_vector", "thumbnail")
"""Columns that no compression makes smaller."""


@dataclass(frozen=True)
class Embedded:
    """One row of a partition; the fields are its columns."""

    key: str
    """The name of the image in its source."""
    digest: builtins.bytes
    """BLAKE2b (16 bytes) of the image file."""
    vector: Vector16 | None
    """(D,), of unit length; None until it is computed."""
    text_vector: Vector16 | None
    """(D,), of the image's first text; None if it has none."""
    source: int
    """Index into `Manifest.sources`."""
    text: str | None
    """All of its texts, one a line."""
    page: str | None
    label: str | None
    width: int
    """Pixels, as shown (after EXIF orientation); so is `height`."""
    height: int
    bytes: int
    """Size of the image file."""
    date: str | None
    """When it was taken, in ISO 8601, by its EXIF."""
    latitude: float | None
    """In degrees; so is `longitude`."""
    longitude: float | None
    fields: str | None
    """The other columns of the source, as a JSON object."""
    thumbnail: builtins.bytes
    """A small JPEG."""


def schema_of(width: int, *, thumbnails: bool, texts: bool) -> pa.Schema:
    """The columns, in their order; `width` is that of the vectors."""
    vector = pa.list_(pa.field("element", pa.float16(), nullable=False), width)
    return pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("digest", pa.binary(DIGEST_BYTES), nullable=False),
            pa.field("vector", vector, nullable=False),
            *([pa.field("text_vector", vector)] if texts else []),
            pa.field("source", pa.int32(), nullable=False),
            *(pa.field(name, pa.string()) for name in ("text", "page", "label")),
            *(pa.field(name, pa.int32(), nullable=False) for name in ("width", "height")),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("date", pa.string()),
            *(pa.field(name, pa.float64()) for name in ("latitude", "longitude")),
            pa.field("fields", pa.string()),
            *([pa.field("thumbnail", pa.binary(), nullable=False)] if thumbnails else []),
        ]
    )


def table_of(rows: Sequence[Embedded], schema: pa.Schema) -> pa.Table:
    """These rows as a table of `schema`."""
    return pa.table([_column([getattr(row, field.name) for row in rows], field.type) for field in schema], schema)


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of a Parquet file in which names and texts are compressed, and pages have checksums."""
    names = {field.name: f"{field.name}.list.element" if _is_vector(field.type) else field.name for field in schema}
    compressed = [name for name in schema.names if name not in _AS_THEY_ARE]
    return pq.ParquetWriter(
        path,
        schema,
        compression={path: "zstd" if name in compressed else "none" for name, path in names.items()},
        use_dictionary=compressed,
        write_statistics=compressed,
        write_page_checksum=True,
    )


def _is_vector(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not _is_vector(kind):
        return pa.array(values, kind)
    blank = np.zeros(kind.list_size, np.float16)
    flat = np.concatenate([blank if value is None else value for value in values]) if values else blank[:0]
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float16()), type=kind, mask=missing)
