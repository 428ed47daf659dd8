"""Pairs of several files as one."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from os.path import commonpath
from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.pairs import ImageStore, Pairs
from openalign.data.tables.combine import concatenated


class CombinedImages:
    """The images of several stores, one after the other."""

    def __init__(self, stores: Sequence[ImageStore], store_N: NDArray[np.int32], row_N: NDArray[np.int64]) -> None:
        """`store_N`, `row_N`: the store of each image, and its row there."""
        self._stores = list(stores)
        self._store_N = store_N
        self._row_N = row_N

    def image_bytes(self, row: int) -> bytes:
        data: bytes = self._stores[int(self._store_N[row])].image_bytes(int(self._row_N[row]))
        return data

    def select(self, rows: NDArray[np.int64]) -> "CombinedImages":
        """The images of these rows, with what they need of their stores: a few rows of many files stay small."""
        row_N = self._row_N[rows]
        used, store_N = np.unique(self._store_N[rows], return_inverse=True)
        stores = []
        for number, store in enumerate(used.tolist()):
            mine_N = np.flatnonzero(store_N == number)
            stores.append(self._stores[store].select(row_N[mine_N]))
            row_N[mine_N] = np.arange(len(mine_N))
        return CombinedImages(stores, store_N.astype(np.int32), row_N)

    def location(self, row: int) -> str:
        return self._stores[int(self._store_N[row])].location(int(self._row_N[row]))

    def identity(self) -> bytes:
        return b"".join(store.identity() for store in self._stores) + self._store_N.tobytes() + self._row_N.tobytes()


def combined(name: str, parts: Sequence[Pairs], problems: Sequence[str] = ()) -> Pairs:
    """The pairs of all parts, in order; each part is named by its file.

    Images are named by their path relative to the folder of all parts, or by file and row. Raises `OpenAlignError` if
    a column has types that do not go together.
    """
    sizes = [len(part) for part in parts]
    firsts = list(accumulate((_rows_of_source(part) for part in parts), initial=0))[:-1]
    folder = Path(commonpath([_folder_of(part) for part in parts]))
    tables = [part.table.set_column(0, "image", _image_names(part, folder)) for part in parts]
    images = CombinedImages(
        [part.images for part in parts],
        np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
        np.concatenate([np.arange(size) for size in sizes]),
    )
    rows = np.concatenate([part.source_rows + first for part, first in zip(parts, firsts, strict=True)])
    told = [*problems, *(problem for part in parts for problem in part.problems)]
    pairs = Pairs.of(name, concatenated(tables, name), images, told)
    return replace(
        pairs,
        source_rows=rows,
        files=tuple((part.name, first) for part, first in zip(parts, firsts, strict=True)),
        columns={role: column for part in reversed(parts) for role, column in part.columns.items()},
        image_key="image" if all(part.image_key for part in parts) else "",
    )


def _rows_of_source(part: Pairs) -> int:
    return int(part.source_rows.max(initial=-1)) + 1


def _image_names(part: Pairs, folder: Path) -> pa.Array:
    names: list[str | None] = part.table["image"].to_pylist()
    if not isinstance(part.images, FileImages):
        file = PurePath(part.name).relative_to(folder)
        return pa.array([f"{file} {name}" for name in names], pa.string())
    below = part.images.folder.relative_to(folder)
    return pa.array([name if name is None or "://" in name else str(below / name) for name in names], pa.string())


def _folder_of(part: Pairs) -> Path:
    return part.images.folder if isinstance(part.images, FileImages) else Path(part.name).parent
