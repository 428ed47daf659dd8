"""Columns that hold the images themselves: as bytes, or as objects of `bytes` and `path`."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.data.files.open_files import OpenFiles
from openalign.data.tables.datasets import in_memory
from openalign.errors import OpenAlignError

_NO_IMAGE = "this row holds no image"


def separate_images(table: pa.Table, column: str) -> tuple[pa.Table, pa.ChunkedArray | None]:
    """The table with the images in `column` replaced by names, and their bytes; None if the column holds no bytes.

    The name is the `path` of the image if all paths differ, else `row N`. If rows have a `path` but no bytes, the
    column becomes the paths.
    """
    if column not in table.column_names:
        return table, None
    images, paths = table[column], None
    if pa.types.is_struct(images.type) and images.type.get_field_index("bytes") >= 0:
        if images.type.get_field_index("path") >= 0:
            paths = pc.struct_field(images, "path").cast(pa.string())
        images = pc.struct_field(images, "bytes")
        if paths is not None and images.null_count == len(images):  # saved without embedding the files
            return table.set_column(table.column_names.index(column), column, paths), None
    if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
        return table, None
    if paths is None or paths.null_count or pc.count_distinct(paths).as_py() < len(paths):
        paths = pa.array([f"row {row + 1}" for row in range(len(table))])
    return table.set_column(table.column_names.index(column), column, paths), images


def stored_images(
    images: pa.ChunkedArray,
    rows: NDArray[np.int64],
    files: Sequence[Path],
    maps: Sequence[pa.Buffer],
    column: str = "",
) -> "StoredImages | ArrowImages":
    """The images of a column of bytes read from `files`; `maps` are the memory maps of the files, if they have any.

    `column` is the name of the column, by which `location` finds its values in a Parquet file.
    """
    if not maps:
        return StoredImages(images, rows, files, column)
    found = [_ranges_of(chunk, maps) for chunk in images.chunks]
    ranges = [each for each in found if each is not None]
    if len(ranges) < len(found):  # compressed: the files do not contain the plain bytes
        return StoredImages(in_memory(pa.table({"images": images}))["images"], rows, files)
    ranges_N3 = np.concatenate([np.empty((0, 3), np.int64), *ranges])
    opened = OpenFiles()
    opened.remember(files)
    return ArrowImages(files, ranges_N3[rows], opened)


def _ranges_of(images: pa.Array, maps: Sequence[pa.Buffer]) -> NDArray[np.int64] | None:
    """(N, 3) the file, offset and size in bytes of each value of an array of bytes; size -1 if it is null.

    None if the values do not lie within one of `maps`.
    """
    _, ends, data = images.buffers()
    width = np.int64 if pa.types.is_large_binary(images.type) else np.int32
    bounds = np.zeros(1, np.int64)
    if len(images):  # the buffer may be longer, by any number of bytes in a damaged file
        bounds = np.frombuffer(ends, width, images.offset + len(images) + 1)[images.offset :].astype(np.int64)
    sizes = np.where(images.is_null().to_numpy(zero_copy_only=False), -1, np.diff(bounds))
    if data is None or data.size == 0:
        return np.stack([np.zeros_like(sizes), np.zeros_like(sizes), sizes], axis=1)
    for number, mapped in enumerate(maps):
        if 0 <= (start := data.address - mapped.address) <= mapped.size - data.size:
            return np.stack([np.full_like(sizes, number), start + bounds[:-1], sizes], axis=1)
    return None


class StoredImages:
    """Images in a column of bytes that is held in memory."""

    def __init__(
        self, images: pa.ChunkedArray, rows: NDArray[np.int64], files: Sequence[Path], column: str = ""
    ) -> None:
        self._column = column
        self._images = images
        self._rows = rows
        self._files = list(files)

    def image_bytes(self, row: int) -> bytes:
        data: bytes | None = self._images[int(self._rows[row])].as_py()
        if data is None:
            raise OpenAlignError(_NO_IMAGE)
        return data

    def select(self, rows: NDArray[np.int64]) -> "StoredImages":
        return StoredImages(self._images, self._rows[rows], self._files, self._column)

    def location(self, row: int) -> str:
        """`parquet://FILE#COLUMN+GROUP+ROW`; "" if the images are in no Parquet file."""
        if not self._column or len(self._files) != 1 or self._files[0].suffix.lower() != ".parquet":
            return ""
        leaf, firsts, rows = _row_groups(self._files[0], self._column)
        if rows != len(self._images):  # rows with damaged texts were left out, so that numbers in the file differ
            return ""
        source_row = int(self._rows[row])
        group = int(np.searchsorted(firsts, source_row, side="right")) - 1
        return f"parquet://{self._files[0].absolute()}#{leaf}+{group}+{source_row - int(firsts[group])}"

    def identity(self) -> bytes:
        return _state_of(self._files) + self._rows.tobytes()


class ArrowImages:
    """Images in a column of bytes of Arrow files, read from the files on demand."""

    def __init__(self, files: Sequence[Path], ranges_N3: NDArray[np.int64], opened: OpenFiles) -> None:
        """`ranges_N3`: file, offset and size in bytes of each row; size -1 means no image."""
        self._files = list(files)
        self._ranges_N3 = ranges_N3
        self._opened = opened

    def image_bytes(self, row: int) -> bytes:
        number, offset, size = self._ranges_N3[row].tolist()
        if size < 0:
            raise OpenAlignError(_NO_IMAGE)
        data = self._opened.read(self._files[number], offset, size)
        if len(data) < size:
            raise OpenAlignError(f"{self._files[number]} was truncated after it was opened: save or fetch it again")
        return data

    def location(self, row: int) -> str:
        """`tar://FILE#OFFSET+SIZE`, since the file holds the bytes as they are; "" if the row has no image."""
        number, offset, size = self._ranges_N3[row].tolist()
        return f"tar://{self._files[number].absolute()}#{offset}+{size}" if size >= 0 else ""

    def select(self, rows: NDArray[np.int64]) -> "ArrowImages":
        return ArrowImages(self._files, self._ranges_N3[rows], self._opened)

    def identity(self) -> bytes:
        return _state_of(self._files) + self._ranges_N3.tobytes()


@lru_cache(maxsize=64)
def _row_groups(file: Path, column: str) -> tuple[int, NDArray[np.int64], int]:
    """The number of the leaf column that holds the bytes, the first row of each row group, and the number of rows."""
    with pq.ParquetFile(file) as parquet:
        paths = [parquet.schema.column(number).path for number in range(len(parquet.schema))]
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    leaf = next(number for number, path in enumerate(paths) if path in (column, f"{column}.bytes"))
    return leaf, np.cumsum([0, *sizes[:-1]]), sum(sizes)


def _state_of(files: Sequence[Path]) -> bytes:
    return repr([(file.stat().st_size, file.stat().st_mtime_ns) for file in files]).encode()
