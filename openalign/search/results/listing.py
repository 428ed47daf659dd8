"""All images in an order, without anything but what a page must know of each to leave room for it.

Shapes: N images that meet the conditions.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openalign.search.mark import BEST
from openalign.search.query.terms import Query
from openalign.search.results.answer import How, best_rows, folds, level_of
from openalign.search.results.order import Folding, Sort
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


def listing(store: AnyStore, asked: Query, query_D: NDArray[np.float32] | None, how: How) -> Listing:
    """All images that meet the conditions, by their similarity to a query's unit vector (D,) if there is one.

    Raises:
        UsageError: a condition cannot be read, or the index is not a folder.
    """
    folder = in_folder(store, "Listing all images")
    found = _listed(folder, how)
    if query_D is not None:
        level = level_of(store, asked, query_D, best_rows(store, asked, query_D, BEST))
        found = _ranked(folder, query_D, level, found, how.sort)
    return _folded(found, store.groups) if folds(store, how) else found


def _listed(store: Store, how: How) -> Listing:
    """Without a query: by their rows, dates, names or sizes; those without a date last."""
    condition = store.condition(how.where)
    sql = f"SELECT row, width, height FROM images WHERE {condition.sql} ORDER BY {_SQL[how.sort]} LIMIT {MOST}"
    found = np.array(list(store.select(sql, *condition.parameters)), np.int64).reshape(-1, 3)
    return Listing(found[:, 0], (found[:, 1] / np.maximum(found[:, 2], 1)).astype(np.float32))


def _ranked(store: Store, query_D: NDArray[np.float32], level: float, listed: Listing, sort: Sort) -> Listing:
    """Each compared with the query. Those that reach `level`, where matches end, come first, in the order of `sort`."""
    rows, scores = store.scored(query_D, np.sort(listed.rows))
    by_row = np.argsort(listed.rows)
    places = by_row[np.searchsorted(listed.rows, rows, sorter=by_row)]
    within = int(np.searchsorted(-np.round(scores, 4), -level, side="right"))
    if sort != "score" and level > -math.inf:
        first = np.argsort(places[:within])
        rows, scores, places = (np.concatenate([each[first], each[within:]]) for each in (rows, scores, places))
    return Listing(rows, listed.ratios[places], scores, within)


def _folded(found: Listing, groups: Folding) -> Listing:
    """The first row of each group of near-duplicates."""
    group_N = np.array([groups.of(row) for row in found.rows.tolist()], np.int64)
    _, first, images = np.unique(group_N, return_index=True, return_counts=True)
    in_order = np.argsort(first)
    first = first[in_order]
    kept = replace(found, rows=found.rows[first], ratios=found.ratios[first], alike=images[in_order] - 1)
    if found.scores is None or found.within is None:
        return kept
    return replace(kept, scores=found.scores[first], within=int((first < found.within).sum()))
