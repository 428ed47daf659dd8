"""The graph of a large index: which rows to compare a query with."""

from pathlib import Path

import numpy as np
import usearch.index
from numpy.typing import NDArray

from openalign.search.watched import ADVICE, DamagedIndex, WatchedFile

_CHUNK = 10_000
_EXPANSION = 256
"""How many nodes of the graph a search keeps in view; more finds more and takes longer."""
_IN_MEMORY = 2**31
"""Bytes of a graph that is read into memory (2 million rows of 640); a larger one is mapped."""


def build_graph(folder: Path, rows: int, width: int) -> None:
    """Write `graph.usearch`, an int8 HNSW graph, for the `vectors.f16` of `folder`."""
    graph = usearch.index.Index(ndim=width, metric="cos", dtype="i8")
    with (folder / "vectors.f16").open("rb") as file:
        for start in range(0, rows, _CHUNK):
            chunk = np.fromfile(file, np.float16, min(_CHUNK, rows - start) * width).reshape(-1, width)
            graph.add(np.arange(start, start + len(chunk)), chunk)
    graph.save(folder / "graph.usearch")


class Graph:
    """An opened graph, whose file was checked: the library trusts every byte of it.

    Raises:
        DamagedIndex: it is of another size than the vectors.
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
            raise DamagedIndex(f"{file.path} is no graph ({error}): {ADVICE}") from None
        if graph is None or (len(graph), graph.ndim) != (rows, width):
            raise DamagedIndex(f"{file.path} is not the graph of {rows:,} x {width} vectors: {ADVICE}")
        self._graph = graph

    def candidates(self, query_D: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Up to `count` rows that are probably most similar to a unit vector (D,).

        A mapped file that is cut while the library searches it still ends the process; one cut before does not.
        """
        if self._mapped:
            self._file.check()
        found = np.asarray(self._graph.search(query_D, count).keys, dtype=np.int64)
        if len(found) and not 0 <= found.min() <= found.max() < self._rows:
            raise DamagedIndex(f"{self._file.path} names a row that is not there: {ADVICE}")
        return found
