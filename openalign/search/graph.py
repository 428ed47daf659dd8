"""The HNSW graph of a large index: it finds the rows that are worth comparing with a query.

It holds the vectors as int8, made here: each multiplied so that its largest entry becomes 127 or -127, and rounded,
since a cosine does not depend on lengths. The library would multiply all unit vectors by 127 and truncate, which leaves
five steps to entries that are about 0.04 at 640 wide.

Shapes: D width of the embeddings, N rows.
"""

from pathlib import Path

import numpy as np
import usearch.index
from numpy.typing import NDArray

from openalign.search.watched import ADVICE, DamagedIndex, WatchedFile

Rows = NDArray[np.int64]

_CHUNK = 10_000
_CONNECTIVITY = 16
"""Links of a node in the upper layers, and twice as many in the lowest: 148 bytes a row beside its vector."""
_VIEW_WHEN_BUILT = 256
"""Nodes kept in view while a row is added (HNSW's efConstruction): where neighbours are many and far, this took
recall@200 from 98.7 to 99.4 %, and building twice the time."""
_CLASS = 200
"""Answers up to this length have the same candidates; longer ones those of the next of 400, 800, ... rows."""
_VIEW = 4
"""Nodes kept in view (HNSW's ef) for each row of a class."""
_SPARE = 1.5
"""Where only a share of rows is allowed, this times as many nodes as have the wanted ones among them on average: twice
as many found no more of the 200 most similar of 40, 50 and 80 % of 60,000 x 640 (99.9 %)."""
_SCORED = 1.5
"""Candidates for each row of a class: without loss of one in 200 after the rounding to int8 (bench/graph.py)."""
_GROWTH = 1.3
"""How much deeper a search goes than the share of allowed rows found so far asks for."""
_NOTHING_FOUND = 8
"""How many times deeper it goes if none was found."""
_IN_MEMORY = 2**28
"""Largest graph in bytes that is read into memory (300,000 rows of 640); a larger one is memory-mapped."""


def build_graph(vectors: Path, to: Path, rows: int, width: int) -> None:
    """Write an int8 HNSW graph of the first `rows` vectors of a file (rows, D), float16, into the file `to`.

    All cores take part, so that two graphs of the same vectors differ a little. The vectors are read piece by piece.
    """
    graph = usearch.index.Index(
        ndim=width, metric="cos", dtype="i8", connectivity=_CONNECTIVITY, expansion_add=_VIEW_WHEN_BUILT
    )
    with vectors.open("rb") as file:
        for start in range(0, rows, _CHUNK):
            chunk = np.fromfile(file, np.float16, min(_CHUNK, rows - start) * width).reshape(-1, width)
            graph.add(np.arange(start, start + len(chunk)), as_int8(chunk.astype(np.float32)))
    graph.save(to)


class Graph:
    """An opened graph, safe to use from many threads.

    Its checksum must be checked before: the library trusts every byte of the file.

    Raises:
        DamagedIndex: its size differs from that of the vectors.
    """

    def __init__(self, file: WatchedFile, rows: int, width: int) -> None:
        self._file = file
        self._rows = rows
        self._mapped = file.size > _IN_MEMORY
        self._buffer = b"" if self._mapped else file.read(0, file.size)  # the library keeps no reference to it
        try:
            # Without a table from keys to nodes, which nothing here asks for: it would read the whole graph.
            content = file.path if self._mapped else self._buffer
            graph = usearch.index.Index.restore(content, view=True, enable_key_lookups=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise DamagedIndex(f"{file.path} is not a graph ({error}): {ADVICE}") from None
        if graph is None or (len(graph), graph.ndim) != (rows, width):
            raise DamagedIndex(f"{file.path} is not the graph of {rows:,} x {width} vectors: {ADVICE}")
        self._graph = graph

    def candidates(self, query_D: NDArray[np.float32], count: int, among: Rows | None = None) -> Rows:
        """The rows to compare exactly with a unit vector (D,) for the `count` most similar rows, in no set order.

        All counts up to 200 have the same candidates, and so do those up to 400, 800, ...: within each of these
        classes a longer answer begins with the shorter one. There are half as many again as rows in the class, or all
        allowed rows where the graph would have to look at as many: then the answer is exact.

        Args:
            query_D: need not have unit length, but must not be zero.
            count: at least 1.
            among: the allowed rows, sorted and distinct, all of this graph; None: all.

        Raises:
            DamagedIndex: the file was changed. A mapped file truncated during the search ends the process; one that
                was truncated before raises this.
        """
        self.check()
        allowed = self._rows if among is None else len(among)
        wanted, needed = class_of(count), candidates_for(count)
        if allowed <= needed:
            return np.arange(self._rows) if among is None else among
        depth = round(max(_VIEW * wanted, _SPARE * needed * self._rows / allowed))
        while depth < allowed:
            found = self._nearest(query_D, depth)
            if among is not None:
                found = found[_isin(found, among)]
            if len(found) >= needed:
                return found[:needed]
            depth = round(depth * (max(2, _GROWTH * needed / len(found)) if len(found) else _NOTHING_FOUND))
        return np.arange(self._rows) if among is None else among

    def check(self) -> None:
        """Raise DamagedIndex if the file of a mapped graph was changed."""
        if self._mapped:
            self._file.check()

    def _nearest(self, query_D: NDArray[np.float32], depth: int) -> Rows:
        """`depth` rows, probably the most similar ones by int8, best first.

        The library keeps as many nodes in view as rows are asked for: so the depth belongs to the search alone, while
        its property `expansion_search` would change for other threads too.
        """
        keys = self._graph.search(as_int8(query_D), depth, threads=1).keys
        found = np.asarray(keys, dtype=np.int64)
        if len(found) and not 0 <= found.min() <= found.max() < self._rows:
            raise DamagedIndex(f"{self._file.path} names a row that does not exist: {ADVICE}")
        return found


def class_of(count: int) -> int:
    """The smallest of 200, 400, 800, ... that is at least `count`."""
    size = _CLASS
    while size < count:
        size *= 2
    return size


def candidates_for(count: int) -> int:
    """How many rows are compared exactly for an answer of `count` rows."""
    return round(_SCORED * class_of(count))


def as_int8(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    """`vectors` (..., D), each scaled by its own largest entry and rounded; a zero row stays zero."""
    largest = np.maximum(np.abs(vectors).max(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    scaled: NDArray[np.int8] = np.rint(vectors / largest * 127).astype(np.int8)
    return scaled


def _isin(rows_N: Rows, allowed: Rows) -> NDArray[np.bool_]:
    """Whether each of `rows_N` is one of `allowed`, which are sorted and not empty."""
    isin_N: NDArray[np.bool_] = allowed[np.minimum(np.searchsorted(allowed, rows_N), len(allowed) - 1)] == rows_N
    return isin_N
