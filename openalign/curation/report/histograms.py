"""The distributions that a report draws: words per text, sides, aspect ratios, languages, with what the rules allow."""

from collections import Counter
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.engine.base import Engine
from openalign.curation.recipe import CurateRecipe

Bars = list[dict[str, Any]]
"""`label`, `count`, and `allowed`: whether the rules keep those."""

_MOST_WORDS = 30
_SIDE_STEP, _MOST_SIDE = 50, 1000  # px
_RATIO_STEP, _MOST_RATIO = 0.25, 5.0
_LAST_SIDE, _LAST_RATIO = _MOST_SIDE // _SIDE_STEP, int(_MOST_RATIO / _RATIO_STEP)  # numbers of bars
_LANGUAGES = 15


def words_per_text(engine: Engine, pairs: ir.Table, recipe: CurateRecipe) -> Bars:
    """Pairs by the unigrams of their text."""
    words = ibis.least(pairs.unigrams, _MOST_WORDS)
    rows = engine.fetch(pairs.filter(pairs.text.notnull()).group_by(words=words).agg(times=_.count()))
    counts = {row["words"]: row["times"] for row in rows}
    return [
        _bar(
            f"{words}+" if words == _MOST_WORDS else str(words),
            counts.get(words, 0),
            recipe.text.min_words <= words <= recipe.text.max_words,
        )
        for words in range(_MOST_WORDS + 1)
    ]


def shorter_sides_and_aspect_ratios(engine: Engine, inspected: ir.Table, recipe: CurateRecipe) -> tuple[Bars, Bars]:
    """Inspected images by their shorter side, and by longer side over shorter side.

    A bar of sides ends with the size that is its label, inclusive; one of ratios begins with the ratio that is its
    label.
    """
    shorter, longer = (each(inspected.width, inspected.height) for each in (ibis.least, ibis.greatest))
    side = ibis.least((shorter + _SIDE_STEP - 1) // _SIDE_STEP, _LAST_SIDE + 1)
    ratio = ibis.least((longer / shorter / _RATIO_STEP).floor().cast("int64"), _LAST_RATIO)
    sized = inspected.filter(inspected.width.notnull())
    sides, ratios = Counter[int](), Counter[int]()
    for row in engine.fetch(sized.group_by(side=side, ratio=ratio).agg(times=_.count())):
        sides[row["side"]] += row["times"]
        ratios[row["ratio"]] += row["times"]
    return _side_bars(sides, recipe), _ratio_bars(ratios, recipe)


def _side_bars(counts: Counter[int], recipe: CurateRecipe) -> Bars:
    return [
        _bar(
            f"{number * _SIDE_STEP}" if number <= _LAST_SIDE else f">{_MOST_SIDE}",
            counts[number],
            number * _SIDE_STEP > recipe.image.min_shorter_side,
        )
        for number in range(1, _LAST_SIDE + 2)
    ]


def _ratio_bars(counts: Counter[int], recipe: CurateRecipe) -> Bars:
    return [
        _bar(
            f"{number * _RATIO_STEP:g}" + ("+" if number == _LAST_RATIO else ""),
            counts[number],
            number * _RATIO_STEP < recipe.image.max_aspect_ratio,
        )
        for number in range(int(1 / _RATIO_STEP), _LAST_RATIO + 1)
    ]


def languages(pairs: Path) -> Bars:
    """Kept pairs by language, most frequent first, of a pairs.parquet."""
    counted = pc.value_counts(pq.ParquetFile(pairs).read(["language"])["language"].combine_chunks()).to_pylist()
    counted.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    return [_bar(entry["values"], entry["counts"], True) for entry in counted[:_LANGUAGES]]


def _bar(label: str, count: int, allowed: bool) -> dict[str, Any]:
    return {"label": label, "count": count, "allowed": allowed}
