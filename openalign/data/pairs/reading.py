"""How data were read, in one line: the layout, the split, what is taken for image and text."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """How a DATA argument was read."""

    layout: str
    """The name of the layout, as `--layout` takes it."""
    title: str
    why: str
    """What was recognised."""
    split: str = ""
    """The split that was read; "all" for all of several, "" where there are none."""
    splits: tuple[str, ...] = ()
    """All splits there are."""
    others: tuple[str, ...] = ()
    """Names of further layouts that the data have."""

    def sentence(self, rows: int, columns: Mapping[str, str]) -> str:
        """`WebDataset shards, split train, 40 rows (image: jpg, text: txt)`."""
        split = f", split {self.split}" if self.split else ""
        taken = ", ".join(f"{role}: {column}" for role, column in columns.items() if column)
        return f"{self.title}{split}, {rows:,} rows" + (f" ({taken})" if taken else "")
