"""All images in an order, without anything but what a page must know of each to leave room for it.

Shapes: N images that meet the conditions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openalign.search.store import Store

MOST = 200_000
"""Images in one answer."""
Order = Literal["score", "date", "-date", "name"]
_SQL: dict[Order, str] = {
    "score": "row",
    "date": "date IS NULL, date, row",
    "-date": "date IS NULL, date DESC, row",
    "name": "image COLLATE NOCASE, row",
}


@dataclass(frozen=True)
class Ranking:
    """Images in order."""

    rows: NDArray[np.int64]
    """(N,)"""
    ratios: NDArray[np.float32]
    """Width by height (N,)."""
    scores: NDArray[np.float32] | None = None
    """Cosine similarities (N,), if there is a query."""
    within: int | None = None
    """How many lie inside the mark where matches end, if there is a query; they come first."""


def listed(store: Store, where: Sequence[str] = (), order: Order = "score") -> Ranking:
    """The images that meet the conditions, without a query: by their rows, dates or names; those without a date last.

    Raises:
        UsageError: a condition is malformed.
    """
    condition = store.condition(where)
    sql = f"SELECT row, width, height FROM images WHERE {condition.sql} ORDER BY {_SQL[order]} LIMIT {MOST}"
    found = np.array(list(store.select(sql, *condition.parameters)), np.int64).reshape(-1, 3)
    return Ranking(found[:, 0], (found[:, 1] / np.maximum(found[:, 2], 1)).astype(np.float32))


def ranked(store: Store, query_D: NDArray[np.float32], level: float, listing: Ranking, order: Order) -> Ranking:
    """The images of a listing by their similarity to a unit vector (D,), each compared with it.

    Those that reach `level`, where matches end, come first; these are in `order`, which is that of the listing.
    """
    rows, scores = store.scored(query_D, np.sort(listing.rows))
    by_row = np.argsort(listing.rows)
    places = by_row[np.searchsorted(listing.rows, rows, sorter=by_row)]
    within = int(np.searchsorted(-np.round(scores, 4), -level, side="right"))
    if order != "score":
        first = np.argsort(places[:within])
        rows, scores, places = (np.concatenate([each[first], each[within:]]) for each in (rows, scores, places))
    return Ranking(rows, listing.ratios[places], scores, within)
