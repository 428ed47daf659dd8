"""All images in an order, without anything but what a page must know of each to leave room for it.

Shapes: N images that meet the conditions.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openalign.search.query.terms import Query
from openalign.search.results.against import Finder
from openalign.search.results.answer import How, finder_of, folding_of
from openalign.search.results.order import NO_DATES, NO_MARK, Folding, Sort
from openalign.search.store.any_store import AnyStore, in_folder
from openalign.search.store.reader import Store

MOST = 200_000
"""Images in one answer."""
_SQL: dict[Sort, str] = {
    "score": "row",
    "date": "date IS NULL, date, row",
    "-date": "date IS NULL, date DESC, row",
    "name": "image COLLATE NOCASE, row",
    "-name": "image COLLATE NOCASE DESC, row",
    "size": "bytes, row",
    "-size": "bytes DESC, row",
}


@dataclass(frozen=True)
class Listing:
    """Images in order."""

    rows: NDArray[np.int64]
    """(N,)"""
    ratios: NDArray[np.float32]
    """Width by height (N,)."""
    scores: NDArray[np.float32] | None = None
    """Cosine similarities (N,), if there is a query."""
    within: int | None = None
    """How many lie inside the mark where matches end, if there is a query; they come first."""
    alike: NDArray[np.int64] | None = None
    """How many near-duplicates are folded into each (N,), if they are folded."""
    note: str | None = None
    """What to know of their order or number."""


@dataclass(frozen=True)
class _Listed:
    """All images that meet the conditions."""

    rows: NDArray[np.int64]
    ratios: NDArray[np.float32]
    has_date: NDArray[np.bool_]

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where some of the rows are among these."""
        by_row = np.argsort(self.rows)
        return by_row[np.searchsorted(self.rows, rows, sorter=by_row)]


def listing(store: AnyStore, asked: Query, query_D: NDArray[np.float32] | None, how: How) -> Listing:
    """All images that meet the conditions, by their similarity to a query's unit vector (D,) if there is one.

    Raises:
        UsageError: a condition cannot be read, the index is not a folder, or it has no vectors of texts and needs them.
    """
    folder = in_folder(store, "Listing all images")
    listed = _listed(folder, how)
    finder = None if query_D is None else finder_of(folder, asked, query_D, np.sort(listed.rows), how)
    found = Listing(listed.rows, listed.ratios) if finder is None else _ranked(finder, listed)
    folding = folding_of(folder, how, finder)
    if folding is not None:
        found = _folded(found, folding)
    if finder is not None and how.sort != "score":
        found = _matches_first_as_listed(found, listed, finder.level, by_date=how.sort in ("date", "-date"))
    if len(listed.rows) == MOST < folder.meta.images:
        found = _noted(found, f"At most {MOST:,} images are listed: set conditions to see others.")
    return found


def _listed(store: Store, how: How) -> _Listed:
    """By their rows, dates, names or sizes; those without a date last."""
    condition = store.condition(how.where)
    columns = "row, width, height, date IS NOT NULL"
    sql = f"SELECT {columns} FROM images WHERE {condition.sql} ORDER BY {_SQL[how.sort]} LIMIT {MOST}"
    rows, widths, heights, dated = np.array(list(store.select(sql, *condition.parameters)), np.int64).reshape(-1, 4).T
    return _Listed(rows, (widths / np.maximum(heights, 1)).astype(np.float32), dated.astype(bool))


def _ranked(finder: Finder, listed: _Listed) -> Listing:
    """Those that the finder has among them, best first."""
    ranked = finder.all()
    within = int(np.searchsorted(-ranked.scores, -finder.level, side="right"))
    return Listing(ranked.rows, listed.ratios[listed.places(ranked.rows)], ranked.cosines, within)


def _matches_first_as_listed(ranked: Listing, listed: _Listed, level: float, *, by_date: bool) -> Listing:
    """Those inside the mark in the order of `listed`; the others after them, as they were."""
    if level == -math.inf:
        return _noted(ranked, NO_MARK)
    places = listed.places(ranked.rows[: ranked.within])
    if by_date and len(places) and not listed.has_date[places].any():
        return _noted(ranked, NO_DATES)
    order = np.arange(len(ranked.rows))
    order[: ranked.within] = np.argsort(places)
    return _taken(ranked, order)


def _noted(found: Listing, note: str) -> Listing:
    return replace(found, note=" ".join(each for each in (found.note, note) if each))


def _folded(found: Listing, groups: Folding) -> Listing:
    """The first row of each group of near-duplicates."""
    group_N = np.array([groups.of(row) for row in found.rows.tolist()], np.int64)
    _, first, images = np.unique(group_N, return_index=True, return_counts=True)
    in_order = np.argsort(first)
    first = first[in_order]
    kept = replace(_taken(found, first), alike=images[in_order] - 1)
    return kept if found.within is None else replace(kept, within=int((first < found.within).sum()))


def _taken(found: Listing, places: NDArray[np.int64]) -> Listing:
    """The images at these places, in this order."""
    return replace(
        found,
        rows=found.rows[places],
        ratios=found.ratios[places],
        scores=None if found.scores is None else found.scores[places],
        alike=None if found.alike is None else found.alike[places],
    )
