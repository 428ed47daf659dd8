"""What a query is compared with: the pictures of an index, its texts, or both.

A text scores higher against texts than against pictures, so that cosines of the two are not comparable. Where both are
searched, rows are in the order of how far their cosine lies beyond the mark of its kind, in spreads of what unrelated
queries reach there (`openalign.search.mark`), and a row counts with the better of the two.

Shapes: D width of the embeddings, N rows, T texts, P pairs of a text and a row that has it.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from openalign.errors import UsageError
from openalign.options import option
from openalign.search.mark import BEST, Asked, Mark
from openalign.search.store.texts import Texts

Against = Literal["image", "text", "both"]
Rows = NDArray[np.int64]
Scored = tuple[int, float]
"""A row and its score."""
_SAME = 1e-6


def against_of(name: str) -> Against:
    """What this name says; raises UsageError if nothing."""
    if name not in get_args(Against):
        raise UsageError(f"{option(against=name)} is not known: take one of {', '.join(get_args(Against))}.")
    return name  # type: ignore[return-value]


@dataclass(frozen=True)
class Ranked:
    """All rows that are found, best first."""

    rows: Rows
    """(N,)"""
    scores: NDArray[np.floating[Any]]
    """What they are ordered by (N,)."""
    cosines: NDArray[np.float32]
    """Cosine similarities of the query and what made each a result (N,)."""


class Finder(Protocol):
    """Finds the best rows of one query."""

    level: float
    """The score from which rows match."""

    def best(self, count: int) -> Sequence[Scored]:
        """The `count` best rows, where there are so many, and what they are ordered by, best first."""

    def all(self) -> Ranked:
        """All rows, in the same order."""

    def cosine(self, row: int) -> float:
        """The cosine similarity of the query and a row that `best` found."""

    def caption(self, row: int) -> str | None:
        """The text that made a row a result; None if it was the picture."""


@dataclass
class AmongPictures:
    """Compares with pictures."""

    find: Callable[[int], Sequence[Scored]]
    """The best rows."""
    find_all: Callable[[], tuple[Rows, NDArray[np.float32]]]
    """All rows (N,), best first, and their cosines (N,)."""
    level: float
    known: Sequence[Scored] = ()
    """The best rows, as far as they were found before."""
    _scores: dict[int, float] = field(default_factory=dict)

    def best(self, count: int) -> Sequence[Scored]:
        """See `Finder`."""
        if count > len(self.known):
            self.known = self.find(count)
        self._scores.update(self.known[:count])
        return self.known[:count]

    def all(self) -> Ranked:
        """See `Finder`."""
        rows, cosines = self.find_all()
        return Ranked(rows, cosines, cosines)

    def cosine(self, row: int) -> float:
        """See `Finder`."""
        return self._scores[row]

    def caption(self, row: int) -> str | None:
        """See `Finder`."""
        return None


class AmongTexts:
    """Compares with texts; an image counts with the best of its own. Equal texts are one, if folded.

    Args:
        among: rows that may be found, sorted; None for all.
        without: rows that may not.
    """

    def __init__(
        self,
        texts: Texts,
        mark: Mark | None,
        query_D: NDArray[np.float32],
        kind: Asked,
        among: Rows | None,
        without: Collection[int],
    ) -> None:
        self._texts, self._scores_T = texts, texts.scores(query_D)
        best = -np.sort(-self._scores_T)[:BEST]
        self.level = -math.inf if mark is None else mark.level(query_D, best.tolist(), kind)
        texts_P, rows_P = texts.of_images
        may_P = ~np.isin(rows_P, list(without))
        if among is not None:
            may_P &= np.isin(rows_P, among)
        texts_P, rows_P = texts_P[may_P], rows_P[may_P]
        order_P = np.argsort(-self._scores_T[texts_P], kind="stable")
        first_N = np.sort(np.unique(rows_P[order_P], return_index=True)[1])
        self._texts_N, self._rows_N = texts_P[order_P][first_N], rows_P[order_P][first_N]

    def best(self, count: int) -> Sequence[Scored]:
        """See `Finder`."""
        scores = self._scores_T[self._texts_N[:count]]
        return list(zip(self._rows_N[:count].tolist(), scores.tolist(), strict=True))

    def all(self) -> Ranked:
        """See `Finder`."""
        scores = self._scores_T[self._texts_N]
        return Ranked(self._rows_N, scores, scores)

    def cosine(self, row: int) -> float:
        """See `Finder`."""
        return float(self._scores_T[self.of(row)])

    def caption(self, row: int) -> str | None:
        """See `Finder`."""
        return self._texts.texts[self.of(row)]

    def of(self, row: int) -> int:
        """The number of the best text of a row."""
        return self._text_of[row]

    def with_row(self, row: int) -> Rows:
        """All rows of which the best text is that of this one, sorted."""
        return np.sort(self._rows_N[self._texts_N == self.of(row)])

    @cached_property
    def _text_of(self) -> dict[int, int]:
        return dict(zip(self._rows_N.tolist(), self._texts_N.tolist(), strict=True))


class AmongBoth:
    """Compares with pictures and with texts."""

    def __init__(self, pictures: Finder, texts: Finder, marks: tuple[Mark | None, Mark | None], kind: Asked) -> None:
        self._parts = pictures, texts
        self._spreads = [_spread(mark, kind) for mark in marks]
        self._starts = [_start(part) for part in self._parts]
        self.level = -math.inf if all(part.level == -math.inf for part in self._parts) else 0.0
        self._part_of: dict[int, Finder] = {}

    def best(self, count: int) -> Sequence[Scored]:
        """See `Finder`."""
        found: dict[int, float] = {}
        for part, start, spread in zip(self._parts, self._starts, self._spreads, strict=True):
            for row, score in part.best(count):
                beyond = (score - start) / spread
                if row not in found or beyond > found[row]:
                    found[row], self._part_of[row] = beyond, part
        return sorted(found.items(), key=lambda each: (-each[1], each[0]))[:count]

    def all(self) -> Ranked:
        """See `Finder`."""
        parts = [part.all() for part in self._parts]
        rows = np.unique(np.concatenate([part.rows for part in parts]))
        scores, cosines = np.full(len(rows), -np.inf), np.empty(len(rows), np.float32)
        for part, start, spread in zip(parts, self._starts, self._spreads, strict=True):
            beyond = (part.scores.astype(np.float64) - start) / spread
            places = np.searchsorted(rows, part.rows)
            is_better = beyond > scores[places]
            scores[places[is_better]] = beyond[is_better]
            cosines[places[is_better]] = part.cosines[is_better]
        order = np.argsort(-scores, kind="stable")
        return Ranked(rows[order], scores[order], cosines[order])

    def cosine(self, row: int) -> float:
        """See `Finder`."""
        return self._part_of[row].cosine(row)

    def caption(self, row: int) -> str | None:
        """See `Finder`."""
        return self._part_of[row].caption(row)


def _start(part: Finder) -> float:
    """Where matches begin; where nothing matches, just above the best row."""
    if math.isfinite(part.level):
        return part.level
    best = [score for _, score in part.best(1)]
    return best[0] + _SAME if best and part.level > 0 else 0.0


def _spread(mark: Mark | None, kind: Asked) -> float:
    level = None if mark is None else mark.neighbours if kind == "image" else mark.captions
    return 1.0 if level is None else level.spread


def among_rows(among: Any) -> Rows | None:
    """The rows that meet the conditions, as far as a store tells them."""
    return among if isinstance(among, np.ndarray) else None
