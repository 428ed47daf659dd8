"""The parts of every protocol: settings, result and printed table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from openalign.data.pairs.pairs import Pairs
from openalign.evaluation.labels import Classes
from openalign.model.dual_encoder import DualEncoder


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of all protocols; each uses those it needs."""

    labels: Classes | None = None
    """The classes to choose from; None takes every value of the label column."""
    label_column: str = "label"
    """The column with the true class; class folders give `label`."""
    templates: tuple[str, ...] = ()
    """Prompts with `{}` or `{c}` for the class name; if empty, the built-in ones are used."""
    batch_size: int = 64
    """Images embedded at once; it affects speed and memory, not the result."""


@dataclass(frozen=True)
class Result:
    """The measurements of a protocol."""

    metrics: dict[str, Any]
    """Shares between 0 and 1 and ranks from 1, by name."""
    chance: dict[str, Any]
    """The same metrics for a random model, as far as they are known."""
    count: int
    """Number of samples evaluated."""
    details: dict[str, int] = field(default_factory=dict)
    """Other counts, such as the number of candidates."""
    problems: list[str] = field(default_factory=list)
    """One message for each sample, or group of samples, that was left out."""


@dataclass(frozen=True)
class Protocol:
    """One way to measure a model. A new one is a file that defines such a value, and an entry in `evaluation.run`."""

    name: str
    needs_text: bool
    measure: Callable[[DualEncoder, Pairs, EvaluateSettings], Result]
    table: Callable[[dict[str, Any]], Table]
    """Turns the returned object (see `evaluation.run.evaluate`) into a table for the terminal."""


def percent(share: float) -> str:
    """A fraction between 0 and 1 as a percentage."""
    return f"{100 * share:.1f} %"
