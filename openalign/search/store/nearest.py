"""The rows most similar to a query: by the graph, by comparison with the rows behind it, or with all rows.

Shapes: D width of the embeddings, N rows.
"""

import numpy as np
import usearch.index
from numpy.typing import NDArray
from usearch.compiled import MetricKind

from openalign.search.graph import Graph
from openalign.search.query.compose import unit
from openalign.search.store.vectors import Vectors, Vectors16

_FEW = 0.05
"""Share of the rows below which a filter is searched row by row: the graph would look at more."""
_AT_ONCE = 1 << 14
"""Rows that are scored at once."""
_FILTERED_ABOVE = 1000
"""Rows of a filter above which only the likely ones are scored with float32."""
_SPARE = 16
"""More of these than are asked for, since float16 may order neighbours otherwise."""

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]


class Nearest:
    """Finds rows in an opened index; safe to use from many threads."""

    def __init__(self, vectors: Vectors, graph: Graph | None, graph_rows: int, deleted: Rows) -> None:
        self._vectors = vectors
        self._graph = graph
        self._graph_rows = graph_rows if graph is not None else 0
        self._deleted = deleted
        rows = np.arange(self._graph_rows)
        self._allowed = np.setdiff1d(rows, deleted, assume_unique=True) if len(deleted) else None
        """The rows of the graph without deleted ones; None for all."""

    def find(self, query_D: NDArray[np.float32], count: int, among: Rows | None) -> tuple[Rows, Scores]:
        """The `count` rows that are most similar to a unit vector (D,), best first, and their cosine similarities.

        With `among`, sorted row numbers, only those are found; never deleted rows; always `count` where there are.
        """
        if among is not None:
            among = np.setdiff1d(among, self._deleted, assume_unique=True)
            if self._graph is None or len(among) < _FEW * self._vectors.rows:
                return self._best_of(query_D, among, count)
        alive = (self._vectors.rows - len(self._deleted)) if among is None else len(among)
        count = min(count, alive)
        if not count:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        behind = self._behind_graph(query_D, count, among)
        rows = np.concatenate([self._in_graph(query_D, count, among), behind])
        return self._best_of(query_D, np.unique(rows), count)

    def all_of(self, query_D: NDArray[np.float32], rows: Rows) -> tuple[Rows, Scores]:
        """Sorted rows, best first, scored exactly."""
        pieces = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
        scores = np.concatenate(
            [np.empty(0, np.float32), *(_scores(self._vectors.take(piece), query_D) for piece in pieces)]
        )
        order = np.argsort(-scores, kind="stable")
        return rows[order], scores[order]

    def _behind_graph(self, query_D: NDArray[np.float32], count: int, among: Rows | None) -> Rows:
        """The best rows of those that are not in the graph, which are all where there is none."""
        if among is not None:
            return self._best_of(query_D, among[among >= self._graph_rows], count)[0]
        found = [np.empty(0, np.int64)]
        for start, piece_ND in self._vectors.pieces(self._graph_rows):
            first, last = np.searchsorted(self._deleted, (start, start + len(piece_ND)))
            wanted = min(count + int(last - first), len(piece_ND))
            found.append(start + _exact(piece_ND, query_D, wanted))
        return np.setdiff1d(np.concatenate(found), self._deleted)

    def _in_graph(self, query_D: NDArray[np.float32], count: int, among: Rows | None) -> Rows:
        """The rows of the graph that are worth comparing with the query."""
        allowed = self._allowed if among is None else among[among < self._graph_rows]
        if self._graph is None or (allowed is not None and not len(allowed)):
            return np.empty(0, np.int64)
        return self._graph.candidates(query_D, count, allowed)

    def _best_of(self, query_D: NDArray[np.float32], rows: Rows, count: int) -> tuple[Rows, Scores]:
        """The best of these sorted rows, scored exactly; equal scores in the order of rows."""
        best, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            vectors_ND = self._vectors.take(some)
            if len(some) > _FILTERED_ABOVE:
                likely = np.sort(_exact(vectors_ND, query_D, count + _SPARE))
                some, vectors_ND = some[likely], vectors_ND[likely]
            best, scores = np.concatenate([best, some]), np.concatenate([scores, _scores(vectors_ND, query_D)])
            order = np.argsort(-scores, kind="stable")[:count]
            best, scores = best[order], scores[order]
        return best, scores


def _scores(vectors_ND: Vectors16, query_D: NDArray[np.float32]) -> Scores:
    # float16 is unit length only to 3 digits
    scores: Scores = unit(vectors_ND.astype(np.float32)) @ query_D
    return scores


def _exact(vectors_ND: Vectors16, query_D: NDArray[np.float32], count: int) -> Rows:
    """The places of the vectors nearest to the query by float16 arithmetic, four times as fast as in float32."""
    wanted = min(count, len(vectors_ND))
    matches = usearch.index.search(vectors_ND, query_D.astype(np.float16), wanted, MetricKind.Cos, exact=True)
    return np.asarray(matches.keys, dtype=np.int64)
