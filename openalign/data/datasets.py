"""Tables that hold the images themselves, as Hugging Face `datasets` writes them, and lists of captions.

A folder of `Dataset.save_to_disk` (Arrow streams, memory-mapped), or Parquet files as on the hub. An image is bytes, or
an object of `bytes` and `path`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.errors import OpenAlignError


def arrow_files(folder: Path) -> list[Path]:
    """The files of a dataset saved to `folder`, in order; none if it is no such folder.

    Raises `OpenAlignError` if it holds several datasets, or names files that are not there.
    """
    if (folder / "dataset_dict.json").exists():
        splits = sorted(each.name for each in folder.iterdir() if (each / "state.json").exists())
        raise OpenAlignError(f"{folder} holds several datasets ({', '.join(splits)}): give one of these folders")
    if not (folder / "state.json").exists():
        return []
    found = sorted(folder.glob("*.arrow"))
    if not found:
        raise OpenAlignError(f"{folder} is a saved dataset without its .arrow files: save or fetch it again")
    return found


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a dataset in `folder` or `folder/data`, in order.

    Raises `OpenAlignError` if they belong to several splits.
    """
    for place in (folder, folder / "data"):
        found = sorted(file for file in place.glob("*.parquet") if not file.name.endswith(".index.parquet"))
        splits = sorted({file.name.split("-")[0] for file in found if "-of-" in file.name})
        if len(splits) > 1:
            raise OpenAlignError(
                f"{place} holds several splits ({', '.join(splits)}): move the files of one into a folder of its own"
            )
        if found:
            return found
    return []


def read_arrow(files: Sequence[Path]) -> pa.Table:
    """The rows of Arrow stream files, left on disk until they are looked at."""
    tables = []
    for file in files:
        try:
            tables.append(pa.ipc.open_stream(pa.memory_map(str(file))).read_all())
        except (pa.ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise OpenAlignError(f"{file} cannot be read as a saved dataset: {reason}") from None
    return pa.concat_tables(tables, promote_options="permissive")


def part_images(table: pa.Table, column: str) -> tuple[pa.Table, pa.ChunkedArray | None]:
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


def captions_as_rows(table: pa.Table, column: str, need_text: bool) -> tuple[pa.Table, NDArray[np.int64]]:
    """A row for each caption where `column` holds lists of them, and the row of `table` that each came from.

    Without `need_text` an image stays one row, with its first caption. A row without captions keeps its place.
    """
    every_row = np.arange(len(table))
    if column not in table.column_names or not _is_list_of_strings(table[column].type):
        return table, every_row
    captions = table[column].combine_chunks()
    parents = pc.list_parent_indices(captions).to_numpy().astype(np.int64)
    without = np.setdiff1d(every_row, parents)
    texts = pa.concat_arrays([pc.list_flatten(captions).cast(pa.string()), pa.nulls(len(without), pa.string())])
    rows = np.concatenate([parents, without])
    order = np.argsort(rows, kind="stable")
    if not need_text:
        order = order[np.unique(rows[order], return_index=True)[1]]
    others = table.drop_columns([column]).take(pa.array(rows[order]))
    return others.append_column(column, texts.take(pa.array(order))), rows[order]


def _is_list_of_strings(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))


class StoredImages:
    """Images that lie in a column of bytes."""

    def __init__(self, images: pa.ChunkedArray, rows: NDArray[np.int64], files: Sequence[Path]) -> None:
        self._images = images
        self._rows = rows
        self._files = list(files)

    def image_bytes(self, row: int) -> bytes:
        data: bytes | None = self._images[int(self._rows[row])].as_py()
        if data is None:
            raise OpenAlignError("this row holds no image")
        return data

    def select(self, rows: NDArray[np.int64]) -> "StoredImages":
        return StoredImages(self._images, self._rows[rows], self._files)

    def identity(self) -> bytes:
        files = [(file.stat().st_size, file.stat().st_mtime_ns) for file in self._files]
        return repr(files).encode() + self._rows.tobytes()
