"""The file of the vectors of an index, for its writer; their check values are in its table.

Shapes: N images, D width.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from openalign.checksums import checksum_of
from openalign.files import sync, whole_file
from openalign.search.graph import build_graph
from openalign.search.store.meta import GraphFile, Meta
from openalign.search.store.vectors import BLOCK_ROWS, Vectors, Vectors16
from openalign.search.watched import ADVICE, DamagedIndex, GrowingFile


class VectorsWriter:
    """Appends to the vectors of one generation; each call belongs to a transaction of `table`.

    Raises:
        DamagedIndex: the file is missing or too short.
    """

    def __init__(self, folder: Path, table: sqlite3.Connection, meta: Meta) -> None:
        self._folder, self._table = folder, table
        self._file = _opened(folder, meta)

    def append(self, vectors_ND: Vectors16, meta: Meta) -> Meta:
        """Write vectors behind the last row, and note the check values of their blocks; returns the new state."""
        first, row_bytes = meta.rows, 2 * meta.width
        data = vectors_ND.tobytes()
        self._file.seek(first * row_bytes)
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        last = first + len(vectors_ND)
        for block in range(first // BLOCK_ROWS, -(-last // BLOCK_ROWS)):
            start, stop = max(block * BLOCK_ROWS, first), min((block + 1) * BLOCK_ROWS, last)
            begun = self._table.execute("SELECT crc FROM blocks WHERE block = ?", (block,)).fetchone()
            check = zlib.crc32(data[(start - first) * row_bytes : (stop - first) * row_bytes], begun[0] if begun else 0)
            self._table.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?)", (block, check))
        return replace(meta, rows=last)

    def copy(self, meta: Meta, to: Path) -> list[int]:
        """Copy the vectors of the images that are left; returns the check values of their blocks."""
        checks: list[int] = []
        with self.reading(meta) as (rows, vectors), to.open("wb") as file:
            for start in range(0, len(rows), BLOCK_ROWS):
                data = vectors.take(rows[start : start + BLOCK_ROWS]).tobytes()
                checks.append(zlib.crc32(data))
                file.write(data)
        sync(to)
        return checks

    @contextmanager
    def reading(self, meta: Meta) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """The rows of all images, sorted, and the vectors, for reading."""
        found = self._table.execute("SELECT row FROM images ORDER BY row")
        rows = np.fromiter((row for (row,) in found), np.int64)
        known = self._table.execute("SELECT crc FROM blocks ORDER BY block").fetchall()
        with closing(GrowingFile(self._folder / meta.vectors_file)) as file:
            checks = np.array(known, np.int64).ravel()
            yield rows, Vectors(file, meta.rows, meta.width, checks, meta.rows)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def graph_of(folder: Path, meta: Meta) -> GraphFile:
    """Write the graph of all rows of `meta`."""
    unknown = replace(meta, graph=GraphFile(meta.rows, 0, ""))
    path = folder / str(unknown.graph_file)
    with whole_file(path) as partial:
        build_graph(folder / meta.vectors_file, partial, meta.rows, meta.width)
    checksum = checksum_of(path)
    return GraphFile(meta.rows, checksum.bytes, checksum.sha256)


def _opened(folder: Path, meta: Meta) -> BinaryIO:
    """The file of vectors, without what a killed run wrote behind the last row."""
    path, size = folder / meta.vectors_file, 2 * meta.rows * meta.width
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        raise DamagedIndex(f"{path} is missing: {ADVICE}") from None
    if path.stat().st_size < size:
        file.close()
        raise DamagedIndex(f"{path} is too short: {ADVICE}")
    if path.stat().st_size > size:
        file.truncate(size)
    return file
