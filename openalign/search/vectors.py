"""The vectors of an opened index: in memory, or read row by row.

Shapes: D width of the embeddings, N requested rows.

The file is not memory-mapped: truncating a mapped file ends the process (SIGBUS), here it raises DamagedIndex.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from openalign.search.watched import ADVICE, DamagedIndex, WatchedFile

Vectors16 = NDArray[np.float16]

_BLOCK_BYTES = 2**26
"""Bytes read at once when a query is compared with all rows and they are not in memory."""


class Vectors:
    """Vectors (rows, D), float16, in a file.

    Raises:
        DamagedIndex: the file has the wrong length.
    """

    def __init__(self, file: WatchedFile, rows: int, width: int, *, in_memory: bool) -> None:
        self._file = file
        self._shape = (rows, width)
        self._row_bytes = 2 * width
        if file.size != rows * self._row_bytes:
            raise DamagedIndex(f"{file.path} has {file.size:,} bytes instead of {rows * self._row_bytes:,}: {ADVICE}")
        self._in_memory = self._read(0, rows) if in_memory else None

    def take(self, rows_N: NDArray[np.int64]) -> Vectors16:
        """The vectors (N, D) of these rows; raises DamagedIndex if one is not finite or the file was changed."""
        if self._in_memory is not None:
            taken_ND = self._in_memory[rows_N]
        else:
            data = self._file.read_ranges((int(row) * self._row_bytes, self._row_bytes) for row in rows_N)
            taken_ND = np.frombuffer(data, np.float16).reshape(len(rows_N), self._shape[1])
        self._check_finite(taken_ND, rows_N)
        return taken_ND

    def blocks(self) -> Iterator[tuple[int, Vectors16]]:
        """All vectors in blocks of bounded size, each with its first row; one block if they are in memory."""
        if self._in_memory is not None:
            yield 0, self._in_memory
            return
        step = max(1, _BLOCK_BYTES // self._row_bytes)
        for start in range(0, self._shape[0], step):
            yield start, self._read(start, min(step, self._shape[0] - start))

    def check_finite(self) -> None:
        """Raise DamagedIndex for the first row that is not finite."""
        for start, block in self.blocks():
            self._check_finite(block, np.arange(start, start + len(block)))

    def whole(self) -> Vectors16:
        """All vectors as one array (rows, D): in memory, else memory-mapped."""
        if self._in_memory is not None:
            return self._in_memory
        self._file.check()
        return np.memmap(self._file.path, np.float16, "r", shape=self._shape)

    def _read(self, start: int, count: int) -> Vectors16:
        data = self._file.read(start * self._row_bytes, count * self._row_bytes)
        return np.frombuffer(data, np.float16).reshape(count, self._shape[1])

    def _check_finite(self, vectors_ND: Vectors16, rows_N: NDArray[np.int64]) -> None:
        finite_N = np.isfinite(vectors_ND).all(axis=1)
        if not finite_N.all():
            row = rows_N[int(np.argmin(finite_N))]
            raise DamagedIndex(f"{self._file.path}: the vector of row {row} is not finite: {ADVICE}")
