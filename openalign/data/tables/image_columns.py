"""Columns that hold the images themselves: as bytes, or as objects of `bytes` and `path`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.files.open_files import OpenFiles
from openalign.data.tables.datasets import in_memory
from openalign.errors import OpenAlignError

_NO_IMAGE = "this row holds no image"


def separate_images(table: pa.Table, column: str) -> tuple[pa.Table, pa.ChunkedArray | None]:
    """The table with names in place of the images that `column` holds, and the images' bytes; None if it holds none.

    A name is the image's `path` where those tell all rows apart, else the number of its row. Where every row has just a
    `path` and no bytes, the images are these files.
    """
    if column not in table.column_names:
        return table, None
    images, paths = table[column], None
    if pa.types.is_struct(images.type) and images.type.get_field_index("bytes") >= 0:
        if images.type.get_field_index("path") >= 0:
            paths = pc.struct_field(images, "path").cast(pa.string())
        images = pc.struct_field(images, "bytes")
        if paths is not None and images.null_count == len(images):  # saved without embedding: the files lie elsewhere
            return table.set_column(table.column_names.index(column), column, paths), None
    if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
        return table, None
    if paths is None or paths.null_count or pc.count_distinct(paths).as_py() < len(paths):
        paths = pa.array([f"row {row + 1}" for row in range(len(table))])
    return table.set_column(table.column_names.index(column), column, paths), images


def stored_images(
    images: pa.ChunkedArray, rows: NDArray[np.int64], files: Sequence[Path], maps: Sequence[pa.Buffer]
) -> "StoredImages | ArrowImages":
    """The images of a column of bytes that was read from `files`; `maps` are their memory maps, none if it has none."""
    if not maps:
        return StoredImages(images, rows, files)
    found = [_places_of(chunk, maps) for chunk in images.chunks]
    places = [each for each in found if each is not None]
    if len(places) < len(found):  # compressed, so that they lie in no file as they are
        return StoredImages(in_memory(pa.table({"images": images}))["images"], rows, files)
    places_N3 = np.concatenate([np.empty((0, 3), np.int64), *places])
    opened = OpenFiles()
    opened.remember(files)
    return ArrowImages(files, places_N3[rows], opened)


def _places_of(images: pa.Array, maps: Sequence[pa.Buffer]) -> NDArray[np.int64] | None:
    """The file, offset and size in bytes, (N, 3), of each value of an array of bytes; size -1 where it is null.

    None if they do not lie in one of `maps`.
    """
    _, ends, data = images.buffers()
    width = np.int64 if pa.types.is_large_binary(images.type) else np.int32
    bounds = np.zeros(1, np.int64) if ends is None else np.frombuffer(ends, width).astype(np.int64)
    bounds = bounds[images.offset : images.offset + len(images) + 1]
    sizes = np.where(images.is_null().to_numpy(zero_copy_only=False), -1, np.diff(bounds))
    if data is None or data.size == 0:
        return np.stack([np.zeros_like(sizes), np.zeros_like(sizes), sizes], axis=1)
    for number, mapped in enumerate(maps):
        if 0 <= (start := data.address - mapped.address) <= mapped.size - data.size:
            return np.stack([np.full_like(sizes, number), start + bounds[:-1], sizes], axis=1)
    return None


class StoredImages:
    """Images that lie in a column of bytes, in memory."""

    def __init__(self, images: pa.ChunkedArray, rows: NDArray[np.int64], files: Sequence[Path]) -> None:
        self._images = images
        self._rows = rows
        self._files = list(files)

    def image_bytes(self, row: int) -> bytes:
        data: bytes | None = self._images[int(self._rows[row])].as_py()
        if data is None:
            raise OpenAlignError(_NO_IMAGE)
        return data

    def select(self, rows: NDArray[np.int64]) -> "StoredImages":
        return StoredImages(self._images, self._rows[rows], self._files)

    def identity(self) -> bytes:
        return _state_of(self._files) + self._rows.tobytes()


class ArrowImages:
    """Images that lie in a column of bytes of Arrow files, each read when it is asked for."""

    def __init__(self, files: Sequence[Path], places_N3: NDArray[np.int64], opened: OpenFiles) -> None:
        """`places_N3` says of each row the file, the offset in it and the size in bytes; size -1: no image."""
        self._files = list(files)
        self._places_N3 = places_N3
        self._opened = opened

    def image_bytes(self, row: int) -> bytes:
        number, offset, size = self._places_N3[row].tolist()
        if size < 0:
            raise OpenAlignError(_NO_IMAGE)
        data = self._opened.read(self._files[number], offset, size)
        if len(data) < size:
            raise OpenAlignError(f"{self._files[number]} was cut off after it was opened: save or fetch it again")
        return data

    def select(self, rows: NDArray[np.int64]) -> "ArrowImages":
        return ArrowImages(self._files, self._places_N3[rows], self._opened)

    def identity(self) -> bytes:
        return _state_of(self._files) + self._places_N3.tobytes()


def _state_of(files: Sequence[Path]) -> bytes:
    return repr([(file.stat().st_size, file.stat().st_mtime_ns) for file in files]).encode()
