"""The distributions that a report draws: words per text, sides, aspect ratios, languages, with what the rules allow."""

from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.recipe import CurateRecipe

Bars = list[dict[str, Any]]
"""`label`, `count`, and `allowed`: whether the rules keep those."""

_MOST_WORDS = 30
_SIDE_STEP, _MOST_SIDE = 50, 1000  # px
_RATIO_STEP, _MOST_RATIO = 0.25, 5.0
_LANGUAGES = 15


def words_per_text(pairs: ir.Table, recipe: CurateRecipe) -> Bars:
    """Pairs by the unigrams of their text."""
    counts = _count(pairs.filter(pairs.text.notnull()), ibis.least(pairs.unigrams, _MOST_WORDS))
    return [
        _bar(
            f"{words}+" if words == _MOST_WORDS else str(words),
            counts.get(words, 0),
            recipe.text.min_words <= words <= recipe.text.max_words,
        )
        for words in range(_MOST_WORDS + 1)
    ]


def shorter_sides(inspected: ir.Table, recipe: CurateRecipe) -> Bars:
    """Inspected images by their shorter side; a bar ends with the size that is its label, inclusive."""
    side, last = ibis.least(inspected.width, inspected.height), _MOST_SIDE // _SIDE_STEP
    counts = _count(
        inspected.filter(inspected.width.notnull()), ibis.least((side + _SIDE_STEP - 1) // _SIDE_STEP, last + 1)
    )
    return [
        _bar(
            f"{number * _SIDE_STEP}" if number <= last else f">{_MOST_SIDE}",
            counts.get(number, 0),
            number * _SIDE_STEP > recipe.image.min_shorter_side,
        )
        for number in range(1, last + 2)
    ]


def aspect_ratios(inspected: ir.Table, recipe: CurateRecipe) -> Bars:
    """Inspected images by longer side over shorter side; a bar begins with the ratio that is its label."""
    ratio = ibis.greatest(inspected.width, inspected.height) / ibis.least(inspected.width, inspected.height)
    last = int(_MOST_RATIO / _RATIO_STEP)
    counts = _count(
        inspected.filter(inspected.width.notnull()), ibis.least((ratio / _RATIO_STEP).floor().cast("int64"), last)
    )
    return [
        _bar(
            f"{number * _RATIO_STEP:g}" + ("+" if number == last else ""),
            counts.get(number, 0),
            number * _RATIO_STEP < recipe.image.max_aspect_ratio,
        )
        for number in range(int(1 / _RATIO_STEP), last + 1)
    ]


def languages(pairs: Path) -> Bars:
    """Kept pairs by language, most frequent first, of a pairs.parquet."""
    counted = pc.value_counts(pq.ParquetFile(pairs).read(["language"])["language"].combine_chunks()).to_pylist()
    counted.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    return [_bar(entry["values"], entry["counts"], True) for entry in counted[:_LANGUAGES]]


def _bar(label: str, count: int, allowed: bool) -> dict[str, Any]:
    return {"label": label, "count": count, "allowed": allowed}


def _count(table: ir.Table, value: ir.IntegerValue) -> dict[int, int]:
    counts = table.group_by(value=value).agg(times=_.count()).to_pyarrow()
    return dict(zip(counts["value"].to_pylist(), counts["times"].to_pylist(), strict=True))
