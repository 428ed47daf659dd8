"""What a rule is: everything about one reason to drop a pair, in one object."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import ibis.expr.types as ir
import pyarrow as pa

from openalign.curation.engine.base import Engine
from openalign.curation.recipe import CurateRecipe
from openalign.data.pairs.pairs import Pairs
from openalign.settings import Settings


@dataclass(frozen=True)
class Corpus:
    """The pairs that rules are evaluated on, and what the functions that add columns to them may read."""

    engine: Engine
    recipe: CurateRecipe
    pairs: ir.Table
    """One row per distinct (image, text), with the columns of `relations` and of the rules before."""
    test_sets: tuple[Pairs, ...] = ()
    inspected: tuple[Path, ...] = ()
    """Parquet files of `inspection.INSPECTED`, with the JPEGs beside them; empty until images are inspected."""
    problems: list[str] = field(default_factory=list)
    """Lines of the report. Functions that add columns append one for each record that they fail on."""


@dataclass(frozen=True)
class Columns:
    """Columns that a rule adds to the pairs, such as the score of a model. Computed only when the rule runs."""

    key: Literal["text", "image", "occurrence"]
    """What the columns describe; `compute` gives at most one row for each."""
    compute: "Callable[[Corpus, tuple[Rule, ...]], ir.Table | pa.Table]"
    """(corpus, the rules that run before this one) -> a table with the key and the columns."""


def _always(recipe: CurateRecipe, has_test_set: bool) -> str | None:
    return None


@dataclass(frozen=True)
class Rule:
    """One reason to drop a pair.

    A null in a column breaks no rule: a pair without text has no word count, an unreadable image no size.
    """

    name: str
    section: str
    """Of the paper."""
    description: str
    """What is dropped, with names of settings in braces."""
    table: str
    """The table of the recipe with its settings."""
    settings: tuple[str, ...]
    """Those that make the threshold, as the report shows it."""
    broken: Callable[[ir.Table, Any], ir.BooleanValue]
    """(pairs, settings of `table`) -> whether each pair breaks the rule."""
    of_image: bool = False
    """Whether the image must be inspected first."""
    columns: Columns | None = None
    model: str | None = None
    """The setting of `table` that names the model of `columns`, if there is one."""
    why_not_run: Callable[[CurateRecipe, bool], str | None] = _always
    """(recipe, whether there is a test set) -> why the rule does not run; None when it runs."""

    def threshold(self, recipe: CurateRecipe) -> dict[str, Any]:
        """The values of `settings`."""
        return {name: getattr(self.settings_of(recipe), name) for name in self.settings}

    def described(self, recipe: CurateRecipe) -> str:
        """`description` with the values of the recipe."""
        return self.description.format(**self.threshold(recipe))

    def settings_of(self, recipe: CurateRecipe) -> Settings:
        """The recipe's table that the rule reads."""
        settings: Settings = getattr(recipe, self.table)
        return settings
