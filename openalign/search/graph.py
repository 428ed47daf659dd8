"""The HNSW graph of a large index: it finds the candidate rows for a query."""

from pathlib import Path

import numpy as np
import usearch.index
from numpy.typing import NDArray

from openalign.search.watched import ADVICE, DamagedIndex, WatchedFile

_CHUNK = 10_000
_EXPANSION = 256
"""Candidates that a search keeps (HNSW's ef); more improve recall and take longer."""
_IN_MEMORY = 2**31
"""Largest graph in bytes that is read into memory (2 million rows of 640); a larger one is memory-mapped."""


def build_graph(vectors: Path, to: Path, rows: int, width: int) -> None:
    """Write an int8 HNSW graph of the first `rows` vectors of a file (rows, D), float16, into the file `to`."""
    graph = usearch.index.Index(ndim=width, metric="cos", dtype="i8")
    with vectors.open("rb") as file:
        for start in range(0, rows, _CHUNK):
            chunk = np.fromfile(file, np.float16, min(_CHUNK, rows - start) * width).reshape(-1, width)
            graph.add(np.arange(start, start + len(chunk)), chunk)
    graph.save(to)


class Graph:
    """An opened graph. Its checksum must be checked before: the library trusts every byte of the file.

    Raises:
        DamagedIndex: its size differs from that of the vectors.
    """

    def __init__(self, file: WatchedFile, rows: int, width: int) -> None:
        self._file = file
        self._rows = rows
        self._mapped = file.size > _IN_MEMORY
        self._buffer = b"" if self._mapped else file.read(0, file.size)  # the library keeps no reference to it
        try:
            graph = usearch.index.Index.restore(
                file.path if self._mapped else self._buffer, view=True, expansion_search=_EXPANSION
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise DamagedIndex(f"{file.path} is not a graph ({error}): {ADVICE}") from None
        if graph is None or (len(graph), graph.ndim) != (rows, width):
            raise DamagedIndex(f"{file.path} is not the graph of {rows:,} x {width} vectors: {ADVICE}")
        self._graph = graph

    def candidates(self, query_D: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Up to `count` rows that are probably the most similar ones to a unit vector (D,).

        A mapped file that is truncated during the search ends the process; one truncated before raises DamagedIndex.
        """
        if self._mapped:
            self._file.check()
        found = np.asarray(self._graph.search(query_D, count).keys, dtype=np.int64)
        if len(found) and not 0 <= found.min() <= found.max() < self._rows:
            raise DamagedIndex(f"{self._file.path} names a row that does not exist: {ADVICE}")
        return found
