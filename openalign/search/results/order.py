"""The best rows of a search: near-duplicates folded, and those that match in the order that was asked for.

Rows are asked for best first; what has to be known of further ones (a group may hide many, and the newest match is not
the best one) is found by asking for twice as many, until there are enough or no more.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from openalign.errors import UsageError
from openalign.options import option
from openalign.search.rows import Row

Sort = Literal["score", "date", "-date", "name", "-name", "size", "-size"]
MOST_SORTED = 8192
"""Matches that are put in another order than by score; of more, the best ones."""
_FIRST_SORTED = 256
NO_MARK = "The index does not tell where matches end (index it again): results are in the order of their scores."
NO_DATES = "No image that matches has a date: they are in the order of their scores."

Scored = tuple[int, float]
"""A row and its score."""
Find = Callable[[int], Sequence[Scored]]
"""The best rows, so many where there are, in the same order whatever the number."""


class Folding(Protocol):
    """Which rows are one in an answer: `Groups` of near-duplicates, for example."""

    def of(self, row: int) -> int:
        """The number of the group of a row."""

    def with_row(self, row: int) -> NDArray[np.int64]:
        """All rows of the group of a row, sorted."""


def sort_of(name: str) -> Sort:
    """The order of this name; raises UsageError if there is none."""
    if name not in get_args(Sort):
        raise UsageError(f"{option(sort=name)} is not an order: take one of {', '.join(get_args(Sort))}.")
    return name  # type: ignore[return-value]


def best_groups(find: Find, top: int, groups: Folding | None) -> list[Scored]:
    """The `top` best rows of which no two are near-duplicates, where there are so many; without `groups`, of all."""
    depth = top
    while True:
        found = find(depth)
        kept = _folded(found, groups)
        if len(kept) >= top or len(found) < depth:
            return kept[:top]
        depth *= 2


def matches(find: Find, level: float, groups: Folding | None) -> tuple[list[Scored], bool]:
    """All rows that score `level` or more, folded, best first; and whether there may be more than `MOST_SORTED`."""
    depth = _FIRST_SORTED
    while True:
        found = find(depth)
        is_all = len(found) < depth or found[-1][1] < level
        if is_all or depth >= MOST_SORTED:
            return _folded([each for each in found if each[1] >= level], groups), not is_all
        depth *= 2


def _folded(found: Sequence[Scored], groups: Folding | None) -> list[Scored]:
    """The first row of each group."""
    if groups is None:
        return list(found)
    first: dict[int, Scored] = {}
    for row, score in found:
        first.setdefault(groups.of(row), (row, score))
    return list(first.values())


@dataclass(frozen=True)
class Ordered:
    """Rows in an order, with their scores."""

    rows: list[tuple[Row, float]]
    note: str | None = None
    """What to know of the order."""


class Rows(Protocol):
    """What has the rows."""

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers."""


def found_in_order(find: Find, level: float, top: int, groups: Folding | None, sort: Sort, store: Rows) -> Ordered:
    """The first `top` rows: those that score `level` or more in the order of `sort`, then others by their score."""
    best = best_groups(find, top, groups)
    if sort == "score" or level == math.inf:  # nothing matches
        return _with_rows(store, best)
    if level == -math.inf:  # everything would
        return replace(_with_rows(store, best), note=NO_MARK)
    matching, is_cut = matches(find, level, groups)
    first = ordered(_with_rows(store, matching).rows, sort)
    beyond = [each for each in best if each[1] < level][: max(0, top - len(first.rows))]
    cut = f"Only the {MOST_SORTED:,} best matches were put in this order." if is_cut else None
    note = " ".join(each for each in (first.note, cut) if each) or None
    return Ordered([*first.rows[:top], *_with_rows(store, beyond).rows], note)


def folded_into(row: int, groups: Folding | None, among: NDArray[np.int64] | None, asked: Collection[int]) -> int:
    """How many near-duplicates of a row meet the conditions (rows `among`, None for all) and are not asked for."""
    if groups is None:
        return 0
    rows = groups.with_row(row)
    if among is not None:
        rows = rows[np.isin(rows, among)]
    return sum(1 for each in rows.tolist() if each != row and each not in asked)


def ordered(rows: Sequence[tuple[Row, float]], sort: Sort) -> Ordered:
    """Rows, given best first, in another order; equal ones stay as they were, and those without a date come last."""
    descending, key = sort.startswith("-"), sort.removeprefix("-")
    if key == "date":
        dated = [each for each in rows if each[0].date]
        if not dated:
            return Ordered(list(rows), NO_DATES)
        undated = [each for each in rows if not each[0].date]
        return Ordered(sorted(dated, key=lambda each: each[0].date or "", reverse=descending) + undated)
    if key == "name":
        return Ordered(sorted(rows, key=lambda each: (each[0].image.casefold(), each[0].image), reverse=descending))
    if key == "size":
        return Ordered(sorted(rows, key=lambda each: each[0].bytes, reverse=descending))
    return Ordered(list(rows))


def _with_rows(store: Rows, scored: Sequence[Scored]) -> Ordered:
    indexed = store.rows([row for row, _ in scored])
    return Ordered([(row, score) for row, (_, score) in zip(indexed, scored, strict=True)])
