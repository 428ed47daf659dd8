"""The answer to a query: the images that are most like it, folded and in the order that was asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from openalign.errors import UsageError
from openalign.options import option
from openalign.search.map.opened import split_regions
from openalign.search.mark import BEST
from openalign.search.query.conditions import columns_of
from openalign.search.query.terms import Query
from openalign.search.results.against import (
    Against,
    AmongBoth,
    AmongPictures,
    AmongTexts,
    Finder,
    Scored,
    against_of,
    among_rows,
)
from openalign.search.results.hits import Hit, Hits
from openalign.search.results.order import Folding, Sort, folded_into, found_in_order, sort_of
from openalign.search.store.any_store import AnyStore, in_folder

Vector = NDArray[np.float32]
Among = Any
"""The rows that meet the conditions, as the store tells them; None for all."""


@dataclass(frozen=True)
class How:
    """How a query is answered; see `Index.search`."""

    where: tuple[str, ...] = ()
    top: int = 10
    fold: bool = False
    sort: Sort = "score"
    against: Against = "image"

    @classmethod
    def given(
        cls,
        where: str | Sequence[str],
        *,
        top: int = 10,
        fold: bool = False,
        sort: str = "score",
        against: str = "image",
    ) -> Self:
        """From arguments of `Index.search`; raises UsageError for an order or a comparison that there is not."""
        conditions = (where,) if isinstance(where, str) else tuple(where)
        return cls(conditions, top, fold, sort_of(sort), against_of(against))


def answer(store: AnyStore, asked: Query, query_D: Vector, how: How) -> Hits:
    """The results for a query with this unit vector (D,).

    Raises:
        UsageError: a condition cannot be read, or the index has no vectors of texts and needs them.
    """
    among = store.matching(how.where) if how.where else None
    finder = finder_of(store, asked, query_D, among, how)
    groups = folding_of(store, how, finder)
    found = found_in_order(finder.best, finder.level, how.top, groups, how.sort, store)
    rows = among_rows(among)
    hits = [
        Hit(
            row,
            round(finder.cosine(row.row), 4),
            score >= finder.level,
            folded_into(row.row, groups, rows, asked.rows),
            finder.caption(row.row),
        )
        for row, score in found.rows
    ]
    return Hits(hits, found.note)


def folding_of(store: AnyStore, how: How, finder: Finder | None) -> Folding | None:
    """What folds the images of `finder` (None for all of the index), if anything does.

    Near-duplicates are not folded where conditions ask for those of an image.
    """
    if not how.fold or "alike" in columns_of(split_regions(how.where)[1], store.meta.columns):
        return None
    return finder if isinstance(finder, AmongTexts) else store.groups


def finder_of(store: AnyStore, asked: Query, query_D: Vector, among: Among, how: How) -> Finder:
    """What finds the rows of a query, of those `among` which the conditions hold.

    Raises:
        UsageError: the index has no vectors of texts and needs them.
    """
    meta = store.meta
    if how.against != "text":
        # The mark depends on the best of the whole collection: a photo matches or not whatever the conditions.
        best = _best_rows(store, asked, query_D, BEST if among is not None else max(how.top, BEST))
        level = _level_of(store, asked, query_D, best)
        known = best if among is None else ()
        pictures = AmongPictures(
            partial(_best_rows, store, asked, query_D, among=among),
            partial(_all_rows, store, asked, query_D, among_rows(among)),
            level,
            known,
        )
    if how.against == "image":
        return pictures
    if store.folder is None:
        raise UsageError(f"{store.name} has no vectors of texts; only an index folder can have them.")
    if not len(store.texts):
        raise UsageError(
            f"The texts of {store.name} have no vectors, so a query cannot be compared with them: index again with "
            f"{option(embed_texts=True)}."
        )
    texts = AmongTexts(store.texts, meta.text_mark, query_D, asked.kind, among_rows(among), asked.rows)
    return texts if how.against == "text" else AmongBoth(pictures, texts, (meta.mark, meta.text_mark), asked.kind)


def _level_of(store: AnyStore, asked: Query, query_D: Vector, best: Sequence[Scored]) -> float:
    """The score from which images match, by the best ones of the whole collection (at least `mark.BEST`)."""
    mark = store.meta.mark
    return -math.inf if mark is None else mark.level(query_D, [score for _, score in best], asked.kind)


def _best_rows(store: AnyStore, asked: Query, query_D: Vector, count: int, among: Among = None) -> Sequence[Scored]:
    """The `count` rows most similar to the query, without those of the query, and their scores."""
    rows, scores = store.nearest(query_D, count + len(asked.rows), among)
    found = zip(rows.tolist(), scores.tolist(), strict=True)
    return [(row, score) for row, score in found if row not in asked.rows][:count]


def _all_rows(
    store: AnyStore, asked: Query, query_D: Vector, among: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """All rows but those of the query, best first, and their scores; raises UsageError if the index is no folder."""
    rows = store.numbers if among is None else among
    folder = in_folder(store, "Comparing all images")
    return folder.scored(query_D, rows[~np.isin(rows, list(asked.rows))])
