"""What every protocol is made of: what it is told, what it returns, and how it is printed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from openalign.data.pairs.pairs import Pairs
from openalign.model.dual_encoder import DualEncoder


@dataclass(frozen=True)
class EvaluateSettings:
    """What a protocol can be told; each reads what it needs."""

    labels: tuple[str, ...] | None = None
    """The classes to choose from; None takes every value of the label column."""
    label_column: str = "label"
    """The column of the data that holds the true class; class folders fill `label`."""
    templates: tuple[str, ...] = ()
    """Sentences with `{}` where the class name goes; none takes the built-in ones."""
    batch_size: int = 64
    """Images that are embedded at once; it changes speed and memory, not the result."""


@dataclass(frozen=True)
class Result:
    """What a protocol measured."""

    metrics: dict[str, Any]
    """Shares between 0 and 1 and ranks from 1, by name."""
    chance: dict[str, Any]
    """The same metrics for a model that answers at random, as far as they are known."""
    count: int
    """Samples that were judged."""
    details: dict[str, int] = field(default_factory=dict)
    """Other counts worth knowing, such as how many answers there were to choose from."""
    problems: list[str] = field(default_factory=list)
    """One sentence for each sample, or group of samples, that was left out."""


@dataclass(frozen=True)
class Protocol:
    """One way to measure a model. A new one is a file that ends in such a value, and a line in `evaluate.run`."""

    name: str
    needs_text: bool
    measure: Callable[[DualEncoder, Pairs, EvaluateSettings], Result]
    table: Callable[[dict[str, Any]], Table]
    """From the reported object (see `evaluate.run.evaluate`) to what the terminal shows."""


def percent(share: float) -> str:
    """A share between 0 and 1 as a person reads it."""
    return f"{100 * share:.1f} %"
