"""The vectors of an opened index: in memory, or read row by row, each block compared with its check value.

Shapes: D width of the embeddings, N requested rows.

The file is not memory-mapped: truncating a mapped file ends the process (SIGBUS), here it raises DamagedIndex.
"""

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from openalign.search.watched import ADVICE, DamagedIndex, GrowingFile

Vectors16 = NDArray[np.float16]

BLOCK_ROWS = 256
"""Rows that share a check value: few, since the first read of a row reads its block (330 kB at 640 wide)."""
_EXPONENT = np.uint16(0x7C00)
_READ_BYTES = 2**26
"""Bytes read at once when a query is compared with all rows and they are not in memory."""


class Vectors:
    """The first `rows` vectors (rows, D), float16, of a file that may grow; safe to use from many threads.

    Rows from `in_memory_from` on are read now. `checks` has the CRC-32 of each block of `BLOCK_ROWS`.

    Raises:
        DamagedIndex: the file is too short, or a block that is read differs from what was written.
    """

    def __init__(
        self, file: GrowingFile, rows: int, width: int, checks: NDArray[np.int64], in_memory_from: int
    ) -> None:
        self._file = file
        self.rows = rows
        self.width = width
        self._row_bytes = 2 * width
        if file.size < rows * self._row_bytes:
            raise DamagedIndex(f"{file.path} has {file.size:,} bytes instead of {rows * self._row_bytes:,}: {ADVICE}")
        if len(checks) != -(-rows // BLOCK_ROWS):
            raise DamagedIndex(f"{file.path} lacks check values: {ADVICE}")
        self._checks = checks
        self._verified = np.zeros(len(checks), bool)
        first = min(-(-in_memory_from // BLOCK_ROWS) * BLOCK_ROWS, rows)
        self._in_memory = self._checked(first, rows)
        self._in_memory_from = first

    def take(self, rows_N: NDArray[np.int64]) -> Vectors16:
        """The vectors (N, D) of these rows; raises DamagedIndex if one is not finite or not as it was."""
        kept_N = rows_N >= self._in_memory_from
        if kept_N.all():
            taken_ND = self._in_memory[rows_N - self._in_memory_from]
        else:
            taken_ND = np.empty((len(rows_N), self.width), np.float16)
            taken_ND[kept_N] = self._in_memory[rows_N[kept_N] - self._in_memory_from]
            taken_ND[~kept_N] = self._from_file(rows_N[~kept_N])
        self._check_finite(taken_ND, rows_N)
        return taken_ND

    def pieces(self, start: int = 0) -> Iterator[tuple[int, Vectors16]]:
        """The vectors from row `start` on in pieces of bounded size, each with its first row."""
        step = max(1, _READ_BYTES // (self._row_bytes * BLOCK_ROWS)) * BLOCK_ROWS
        while start < self._in_memory_from:
            stop = min(start // BLOCK_ROWS * BLOCK_ROWS + step, self._in_memory_from)
            first = start // BLOCK_ROWS * BLOCK_ROWS
            yield start, self._checked(first, stop)[start - first :]
            start = stop
        if start < self.rows:
            yield start, self._in_memory[start - self._in_memory_from :]

    def whole(self) -> Vectors16:
        """All vectors as one array (rows, D): in memory, else memory-mapped."""
        if self._in_memory_from == 0:
            return self._in_memory
        return np.memmap(self._file.path, np.float16, "r", shape=(self.rows, self.width))

    def check_thoroughly(self) -> None:
        """Read all vectors; raises DamagedIndex if one is not finite or differs from what was written."""
        for first in range(0, self.rows, BLOCK_ROWS):
            stop = min(first + BLOCK_ROWS, self.rows)
            self._check_finite(self._checked(first, stop), np.arange(first, stop))

    def _from_file(self, rows_N: NDArray[np.int64]) -> Vectors16:
        """The vectors of rows that are not in memory; blocks that were not compared before are read whole."""
        if self._file.changed():  # most probably only longer
            self._verified[:] = False
        taken_ND = np.empty((len(rows_N), self.width), np.float16)
        verified_N = self._verified[rows_N // BLOCK_ROWS]
        self._fill_from_blocks(taken_ND, rows_N, ~verified_N)
        data = self._file.read_ranges((int(row) * self._row_bytes, self._row_bytes) for row in rows_N[verified_N])
        taken_ND[verified_N] = np.frombuffer(data, np.float16).reshape(-1, self.width)
        if self._file.changed():
            self._verified[:] = False
            self._fill_from_blocks(taken_ND, rows_N, verified_N)
        return taken_ND

    def _fill_from_blocks(self, taken_ND: Vectors16, rows_N: NDArray[np.int64], wanted_N: NDArray[np.bool_]) -> None:
        places = np.flatnonzero(wanted_N)
        places = places[np.argsort(rows_N[places], kind="stable")]
        blocks, starts = np.unique(rows_N[places] // BLOCK_ROWS, return_index=True)
        for block, here in zip(blocks.tolist(), np.split(places, starts[1:]), strict=False):
            first = block * BLOCK_ROWS
            vectors_ND = self._checked(first, min(first + BLOCK_ROWS, self.rows))
            taken_ND[here] = vectors_ND[rows_N[here] - first]

    def _checked(self, first: int, stop: int) -> Vectors16:
        """The vectors of the blocks from row `first` to `stop`, compared with their check values."""
        data = self._file.read(first * self._row_bytes, (stop - first) * self._row_bytes)
        for start in range(first, stop, BLOCK_ROWS):
            at = (start - first) * self._row_bytes
            rows = min(BLOCK_ROWS, stop - start)
            if zlib.crc32(data[at : at + rows * self._row_bytes]) != self._checks[start // BLOCK_ROWS]:
                raise DamagedIndex(
                    f"{self._file.path} has changed since it was written (rows {start} to {start + rows - 1}): {ADVICE}"
                )
            self._verified[start // BLOCK_ROWS] = True
        return np.frombuffer(data, np.float16).reshape(stop - first, self.width)

    def _check_finite(self, vectors_ND: Vectors16, rows_N: NDArray[np.int64]) -> None:
        # Ten times as fast as `np.isfinite` of float16: infinity and NaN have all bits of the exponent set
        finite_N = ((vectors_ND.view(np.uint16) & _EXPONENT) != _EXPONENT).all(axis=1)
        if not finite_N.all():
            row = rows_N[int(np.argmin(finite_N))]
            raise DamagedIndex(f"{self._file.path}: the vector of row {row} is not finite: {ADVICE}")
