"""The rows most similar to a query: by the graph, by comparison with the rows behind it, or with all rows.

Where a condition allows few of the rows of a graph, the graph would look at many more than it finds: then all allowed
rows are compared, first in int8, and the likely ones exactly.

Shapes: D width of the embeddings, N rows.
"""

from hashlib import blake2b
from typing import Any

import numpy as np
import usearch.index
from numpy.typing import NDArray
from usearch.compiled import MetricKind

from openalign.search.graph import Graph, as_int8, candidates_for, class_of
from openalign.search.query.compose import unit
from openalign.search.query.remembered import Latest
from openalign.search.store.vectors import Vectors, Vectors16

_FEW = 0.05
"""Share of the rows below which a filter is searched row by row."""
_WORTH = 4200
"""So is one of less than the root of this times the rows: a search of the graph that has to find 300 of N allowed rows
among R looks at 450 R / N nodes, each of which takes as long as nine rows that are compared one after the other."""
_MOST_BYTES = 2**26
"""int8 vectors of filters that are kept; larger ones are searched by the graph."""
_MOST_ANSWER_BYTES = 2**21
"""Answers that are kept: several hundred."""
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
        self._answers = Latest(_MOST_ANSWER_BYTES)
        self._allowed = np.setdiff1d(rows, deleted, assume_unique=True) if len(deleted) else None
        """The rows of the graph without deleted ones; None for all."""
        self._filters = _Filters(vectors, graph_rows) if graph is not None else None

    def find(self, query_D: NDArray[np.float32], count: int, among: Rows | None) -> tuple[Rows, Scores]:
        """The `count` rows that are most similar to a unit vector (D,), best first, and their cosine similarities.

        With `among`, sorted row numbers, only those are found; never deleted rows; always `count` where there are.
        """
        if among is not None:
            among = _without(among, self._deleted)
            if self._graph is None:
                return self._best_of(query_D, among, count)
            return self._found(query_D, min(count, len(among)), among)
        count = min(count, self._vectors.rows - len(self._deleted))
        # The same query is asked again with other conditions, which need its mark, and for more of the answer.
        depth = min(class_of(count), self._vectors.rows - len(self._deleted))
        key = query_D.tobytes() + depth.to_bytes(8, "little")
        found = self._answers.get(key)
        if found is None:
            found = self._found(query_D, depth, None)
            self._answers.put(key, found)
        else:
            self._vectors.take(found[0][:count])  # raises if they were changed since
            if self._graph is not None:
                self._graph.check()
        return found[0][:count], found[1][:count]

    def _found(self, query_D: NDArray[np.float32], count: int, among: Rows | None) -> tuple[Rows, Scores]:
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
            return self._best_of(query_D, among[np.searchsorted(among, self._graph_rows) :], count)[0]
        found = [np.empty(0, np.int64)]
        for start, piece_ND in self._vectors.pieces(self._graph_rows):
            first, last = np.searchsorted(self._deleted, (start, start + len(piece_ND)))
            wanted = min(count + int(last - first), len(piece_ND))
            found.append(start + _exact(piece_ND, query_D, wanted))
        return np.setdiff1d(np.concatenate(found), self._deleted)

    def _in_graph(self, query_D: NDArray[np.float32], count: int, among: Rows | None) -> Rows:
        """The rows of the graph that are worth comparing with the query."""
        allowed = self._allowed if among is None else among[: np.searchsorted(among, self._graph_rows)]
        if self._graph is None or (allowed is not None and not len(allowed)):
            return np.empty(0, np.int64)
        if among is None or allowed is None or self._filters is None or not self._filters.takes(len(allowed)):
            return self._graph.candidates(query_D, count, allowed)
        wanted = candidates_for(count)
        return allowed if len(allowed) <= wanted else self._filters.best(query_D, wanted, allowed)

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


class _Filters:
    """Compares a query with all rows that a filter allows; keeps the vectors of the last filters, for many threads.

    To read the vector of a row takes many times as long as to compare it, and queries follow each other under the same
    filter.
    """

    def __init__(self, vectors: Vectors, rows: int) -> None:
        self._stored = vectors
        self._most = min(max(int(_FEW * rows), int((_WORTH * rows) ** 0.5)), _MOST_BYTES // vectors.width)
        self._kept = Latest(_MOST_BYTES)

    def takes(self, allowed: int) -> bool:
        """Whether that is faster, and for a filter of this size not too much to keep."""
        return allowed <= self._most

    def best(self, query_D: NDArray[np.float32], count: int, rows_N: Rows) -> Rows:
        """The `count` rows of more that are most similar to the query in int8, in no set order."""
        vectors_ND, lengths_N = self._vectors(rows_N)
        pieces = (vectors_ND[start : start + _AT_ONCE].astype(np.float32) for start in range(0, len(rows_N), _AT_ONCE))
        scores_N = np.concatenate([piece_ND @ query_D for piece_ND in pieces]) / lengths_N
        best: NDArray[np.intp] = np.argpartition(scores_N, -count)[-count:]
        return rows_N[best]

    def _vectors(self, rows_N: Rows) -> tuple[NDArray[Any], ...]:
        key = blake2b(rows_N.tobytes(), digest_size=16).digest()
        found = self._kept.get(key)
        if found is None:
            pieces = [rows_N[start : start + _AT_ONCE] for start in range(0, len(rows_N), _AT_ONCE)]
            vectors_ND = np.concatenate([as_int8(self._stored.take(piece).astype(np.float32)) for piece in pieces])
            squares_N = np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float32)
            found = vectors_ND, np.sqrt(np.maximum(squares_N, 1))
            self._kept.put(key, found)
        return found


def _without(rows: Rows, deleted: Rows) -> Rows:
    """Sorted rows without those of `deleted`, sorted too."""
    if not len(deleted) or not len(rows):
        return rows
    at = np.minimum(np.searchsorted(deleted, rows), len(deleted) - 1)
    left: Rows = rows[deleted[at] != rows]
    return left


def _scores(vectors_ND: Vectors16, query_D: NDArray[np.float32]) -> Scores:
    # float16 is unit length only to 3 digits
    scores: Scores = unit(vectors_ND.astype(np.float32)) @ query_D
    return scores


def _exact(vectors_ND: Vectors16, query_D: NDArray[np.float32], count: int) -> Rows:
    """The places of the vectors nearest to the query by float16 arithmetic, four times as fast as in float32."""
    wanted = min(count, len(vectors_ND))
    matches = usearch.index.search(vectors_ND, query_D.astype(np.float16), wanted, MetricKind.Cos, exact=True)
    return np.asarray(matches.keys, dtype=np.int64)
