"""Columns that hold the images themselves: as bytes, as objects of `bytes` and `path`, or written as text."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.data.files.image_value import bytes_of, holds_image
from openalign.data.files.open_files import OpenFiles
from openalign.data.left_out import Kind, LeftOut, listing
from openalign.data.tables.captions import written_lists
from openalign.data.tables.columns import is_list, is_text
from openalign.data.tables.datasets import in_memory
from openalign.errors import OpenAlignError

_NO_IMAGE = "this row holds no image"
_PATH_FIELDS = ("path", "filename", "file_name", "url")


def separate_images(
    table: pa.Table, column: str, problems: list[str] | None = None, where: str = "the table"
) -> tuple[pa.Table, pa.ChunkedArray | None]:
    """The table with the images in `column` replaced by names, and their bytes; None if the column holds no bytes.

    The name is the `path` of the image if all paths differ, else `row N`. A row that has a `path` but no bytes is named
    by that path; one without both has no name. `data:` URLs and base64 in a column of texts are images as well. Of a
    list of images the first is taken, and the others are counted in `problems`.
    """
    if column not in table.column_names:
        return table, None
    told = [] if problems is None else problems
    images, paths = _first_of_lists(table[column], told, where), None
    if pa.types.is_struct(images.type):
        paths = _paths_of(images)
        if images.type.get_field_index("bytes") >= 0:
            images = pc.struct_field(images, "bytes")
        elif paths is not None:
            images = pa.chunked_array([pa.nulls(len(images), pa.binary())])
    elif is_text(images.type):
        images, paths = _written_images(images.cast(pa.string()), told, where)
    if paths is not None and images.null_count == len(images):  # saved without embedding the files
        return table.set_column(table.column_names.index(column), column, paths), None
    if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
        return table, None
    names = _names(images, paths, len(table))
    return table.set_column(table.column_names.index(column), column, names), images


def with_first_images(table: pa.Table, column: str, problems: list[str], where: str) -> pa.Table:
    """The table with the first name in place of each list of names of images, also of one that is written as text.

    Those of which a list holds several are counted in `problems`.
    """
    at = table.schema.get_field_index(column)
    if at < 0:
        return table
    lists = table.column(at)
    if is_text(lists.type):
        found = written_lists(lists)
        if found is None:
            return table
        lists = found[0]
    if not is_list(lists.type) or not is_text(lists.type.value_type):
        return table
    return table.set_column(at, column, _first_of(lists, problems, where).cast(pa.string()))


def _first_of_lists(images: pa.ChunkedArray, problems: list[str], where: str) -> pa.ChunkedArray:
    if not is_list(images.type) or not (pa.types.is_struct(images.type.value_type) or _is_bytes(images.type)):
        return images
    return _first_of(images, problems, where)


def _first_of(lists: pa.ChunkedArray, problems: list[str], where: str) -> pa.ChunkedArray:
    whole = lists.combine_chunks()
    sizes = pc.fill_null(pc.list_value_length(whole), 0).to_numpy()
    if further := int(np.maximum(sizes.astype(np.int64) - 1, 0).sum()):
        message = f"{where}: {further:,} images are not the first of their row, and are left out"
        problems.append(LeftOut(Kind.EXTRA_IMAGE, message, further))
    parents, flat = pc.list_parent_indices(whole).to_numpy(), pc.list_flatten(whole)
    rows, first = np.unique(parents, return_index=True)
    places = np.full(len(whole), -1, np.int64)
    places[rows] = first
    return pa.chunked_array([flat.take(pa.array(places, mask=places < 0))])


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind.value_type) or pa.types.is_large_binary(kind.value_type))


def _paths_of(images: pa.ChunkedArray) -> pa.ChunkedArray | None:
    name = next((name for name in _PATH_FIELDS if images.type.get_field_index(name) >= 0), None)
    paths = None if name is None else pc.struct_field(images, name)
    return paths.cast(pa.string()) if paths is not None and is_text(paths.type) else None


def _written_images(
    values: pa.ChunkedArray, problems: list[str], where: str
) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    """(bytes, paths) of texts of which some are images themselves; the texts as they are if none is."""
    may_hold = pc.or_(pc.greater(pc.binary_length(values), 1000), pc.starts_with(values, "data:", ignore_case=True))
    if not pc.any(may_hold).as_py():
        return values, None
    images: list[bytes | None] = []
    paths: list[str | None] = []
    with listing(problems, where) as left_out:
        for row, value in enumerate(values.to_pylist(), 1):
            image, path = None, value
            if value and holds_image(value):
                try:
                    image, path = bytes_of(value), None
                except OpenAlignError as error:
                    path = None
                    left_out.add(Kind.IMAGE_NOT_READ, f"{where} row {row}: {error}")
            images.append(image)
            paths.append(path)
    if all(image is None for image in images) and None not in paths:
        return values, None
    return pa.chunked_array([pa.array(images, pa.large_binary())]), pa.chunked_array([pa.array(paths, pa.string())])


def _names(images: pa.ChunkedArray, paths: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
    if paths is not None and not paths.null_count and pc.count_distinct(paths).as_py() == rows:
        return paths
    numbered = pa.array([f"row {row + 1}" for row in range(rows)], pa.string())
    return pc.if_else(images.is_valid(), numbered, pa.nulls(rows, pa.string()) if paths is None else paths)


class Otherwise(Protocol):
    """Where the images of rows without bytes are, by row."""

    def image_bytes(self, row: int) -> bytes: ...

    def select(self, rows: NDArray[np.int64]) -> "Otherwise": ...

    def location(self, row: int) -> str: ...

    def identity(self) -> bytes: ...


def stored_images(
    images: pa.ChunkedArray,
    rows: NDArray[np.int64],
    files: Sequence[Path],
    maps: Sequence[pa.Buffer],
    column: str = "",
    otherwise: Otherwise | None = None,
) -> "StoredImages | ArrowImages":
    """The images of a column of bytes read from `files`; `maps` are the memory maps of the files, if they have any.

    `column` is the name of the column, by which `location` finds its values in a Parquet file. A row without bytes is
    read from `otherwise`, if given.
    """
    otherwise = otherwise if images.null_count else None
    if not maps:
        return StoredImages(images, rows, files, column, otherwise)
    found = [_ranges_of(chunk, maps) for chunk in images.chunks]
    ranges = [each for each in found if each is not None]
    if len(ranges) < len(found):  # compressed: the files do not contain the plain bytes
        return StoredImages(in_memory(pa.table({"images": images}))["images"], rows, files, otherwise=otherwise)
    ranges_N3 = np.concatenate([np.empty((0, 3), np.int64), *ranges])
    opened = OpenFiles()
    opened.remember(files)
    return ArrowImages(files, ranges_N3[rows], opened, otherwise)


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
        self,
        images: pa.ChunkedArray,
        rows: NDArray[np.int64],
        files: Sequence[Path],
        column: str = "",
        otherwise: Otherwise | None = None,
    ) -> None:
        self._column = column
        self._images = images
        self._rows = rows
        self._files = list(files)
        self._otherwise = otherwise

    def __getstate__(self) -> dict[str, Any]:
        """Another process gets only the images of the rows; it does not learn their location."""
        if np.array_equal(self._rows, np.arange(len(self._images))):
            return vars(self)
        images = self._images.take(pa.array(self._rows))
        return {**vars(self), "_images": images, "_rows": np.arange(len(self._rows)), "_column": ""}

    def image_bytes(self, row: int) -> bytes:
        data: bytes | None = self._images[int(self._rows[row])].as_py()
        return _elsewhere(self._otherwise, row) if data is None else data

    def select(self, rows: NDArray[np.int64]) -> "StoredImages":
        otherwise = self._otherwise.select(rows) if self._otherwise else None
        return StoredImages(self._images, self._rows[rows], self._files, self._column, otherwise)

    def location(self, row: int) -> str:
        """`parquet://FILE#COLUMN+GROUP+ROW`; "" if the images are in no Parquet file."""
        if self._otherwise is not None and not self._images[int(self._rows[row])].is_valid:
            return self._otherwise.location(row)
        if not self._column or len(self._files) != 1 or self._files[0].suffix.lower() != ".parquet":
            return ""
        leaf, firsts, rows = _row_groups(self._files[0], self._column)
        if leaf < 0 or rows != len(
            self._images
        ):  # rows with damaged texts were left out, so that numbers in the file differ
            return ""
        source_row = int(self._rows[row])
        group = int(np.searchsorted(firsts, source_row, side="right")) - 1
        return f"parquet://{self._files[0].absolute()}#{leaf}+{group}+{source_row - int(firsts[group])}"

    def identity(self) -> bytes:
        return _state_of(self._files) + self._rows.tobytes() + (self._otherwise.identity() if self._otherwise else b"")


class ArrowImages:
    """Images in a column of bytes of Arrow files, read from the files on demand."""

    def __init__(
        self, files: Sequence[Path], ranges_N3: NDArray[np.int64], opened: OpenFiles, otherwise: Otherwise | None = None
    ) -> None:
        """`ranges_N3`: file, offset and size in bytes of each row; size -1 means no image."""
        self._files = list(files)
        self._ranges_N3 = ranges_N3
        self._opened = opened
        self._otherwise = otherwise

    def image_bytes(self, row: int) -> bytes:
        number, offset, size = self._ranges_N3[row].tolist()
        if size < 0:
            return _elsewhere(self._otherwise, row)
        data = self._opened.read(self._files[number], offset, size)
        if len(data) < size:
            raise OpenAlignError(f"{self._files[number]} was truncated after it was opened: save or fetch it again")
        return data

    def location(self, row: int) -> str:
        """`tar://FILE#OFFSET+SIZE`, since the file holds the bytes as they are; "" if the row has no image."""
        number, offset, size = self._ranges_N3[row].tolist()
        if size < 0:
            return self._otherwise.location(row) if self._otherwise else ""
        return f"tar://{self._files[number].absolute()}#{offset}+{size}"

    def select(self, rows: NDArray[np.int64]) -> "ArrowImages":
        otherwise = self._otherwise.select(rows) if self._otherwise else None
        return ArrowImages(self._files, self._ranges_N3[rows], self._opened, otherwise)

    def identity(self) -> bytes:
        state = _state_of(self._files) + self._ranges_N3.tobytes()
        return state + (self._otherwise.identity() if self._otherwise else b"")


def _elsewhere(otherwise: Otherwise | None, row: int) -> bytes:
    if otherwise is None:
        raise OpenAlignError(_NO_IMAGE)
    return otherwise.image_bytes(row)


@lru_cache(maxsize=64)
def _row_groups(file: Path, column: str) -> tuple[int, NDArray[np.int64], int]:
    """The number of the leaf column that holds the bytes (-1: none does as it is), the first row of each row group, and
    the number of rows."""
    with pq.ParquetFile(file) as parquet:
        paths = [parquet.schema.column(number).path for number in range(len(parquet.schema))]
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        texts = [parquet.schema.column(number).logical_type.type == "STRING" for number in range(len(paths))]
    leaves = (n for n, path in enumerate(paths) if path in (column, f"{column}.bytes") and not texts[n])
    return next(leaves, -1), np.cumsum([0, *sizes[:-1]]), sum(sizes)


def _state_of(files: Sequence[Path]) -> bytes:
    return repr([(file.stat().st_size, file.stat().st_mtime_ns) for file in files]).encode()
