"""The rows of a collection most similar to a query, with or without conditions.

Shapes: D width of the embeddings, N rows.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError
from openalign.search.milvus.client import MOST_HITS, Collection
from openalign.search.milvus.columns import ROW_COLUMNS
from openalign.search.milvus.selection import Selection

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]

_FEWEST = 100
"""Rows asked for at least where some of them are compared once more."""
_NAMED_AT_ONCE = 4096
"""Rows that one search is limited to by their numbers."""
_WIDER = 2
"""Candidates in view for each row that is asked for."""
_MOST_IN_VIEW = 32_768
"""The largest `ef` that a server takes."""


class Nearest:
    """Searches one collection; safe to use from many threads."""

    def __init__(self, collection: Collection, kind: str) -> None:
        self._collection = collection
        self._kind = kind

    def find(self, query_D: NDArray[np.float32], count: int, among: Selection | None, rows: int) -> tuple[Rows, Scores]:
        """The `count` rows most similar to a unit vector (D,) of those before `rows`, and their cosine similarities.

        Raises:
            OpenAlignError: `count` is more than a server returns.
        """
        if count > MOST_HITS:
            raise OpenAlignError(
                f"{count:,} images are more than Milvus returns for a search: the most is {MOST_HITS:,}."
            )
        if among is None or among.expression.exact:
            text = "" if among is None else among.expression.text
            return _arrays(self._search(query_D, count, text))
        return self._compared(query_D, count, among, rows)

    def _search(self, query_D: NDArray[np.float32], count: int, expression: str) -> list[tuple[int, float]]:
        found = self._collection.search(query_D, count, expression, [], self._parameters(count))
        return [(row, score) for row, score, _ in found]

    def _compared(self, query_D: NDArray[np.float32], count: int, among: Selection, rows: int) -> tuple[Rows, Scores]:
        """Of more and more of the best rows, those for which the conditions hold; in the end of all rows."""
        asked = max(_FEWEST, 4 * count)
        while asked <= MOST_HITS:
            found = self._collection.search(query_D, asked, among.expression.text, ROW_COLUMNS, self._parameters(asked))
            holding = among.holds([entity for _, _, entity in found])
            kept = [(row, score) for row, score, _ in found if row in holding]
            if len(kept) >= count or len(found) < asked:
                return _arrays(kept[:count])
            asked *= 4
        best: list[tuple[int, float]] = []
        for some in self._holding(among, rows):
            best += self._search(query_D, min(count, len(some)), f"row in {some}")
            best = sorted(best, key=lambda each: (-each[1], each[0]))[:count]
        return _arrays(best)

    def _holding(self, among: Selection, rows: int) -> Iterator[list[int]]:
        """All rows for which the conditions hold, some at once."""
        for start in range(0, rows, _NAMED_AT_ONCE):
            within = f"row >= {start} and row < {start + _NAMED_AT_ONCE}"
            text = f"{among.expression.text} and {within}" if among.expression.text else within
            if holding := among.holds(self._collection.query(text, ROW_COLUMNS)):
                yield sorted(holding)

    def _parameters(self, count: int) -> dict[str, int]:
        """Of a search for so many rows in an index of this kind."""
        wide = min(max(128, _WIDER * count), _MOST_IN_VIEW)
        return {"HNSW": {"ef": wide}, "DISKANN": {"search_list": wide}}.get(self._kind, {})


def _arrays(found: list[tuple[int, float]]) -> tuple[Rows, Scores]:
    return np.array([row for row, _ in found], np.int64), np.array([score for _, score in found], np.float32)
