"""What a layout is: how it is recognised, and how its pairs are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs


@dataclass(frozen=True)
class Finding:
    """Data that have a layout."""

    why: str
    """What was recognised, as a clause: `it holds shard-00000.tar and 3 more`."""
    splits: Mapping[str, Sequence[PathOrUrl]]
    """The parts of each split, in order: files, or folders that are read as one. "" where there are no splits.

    A curation reads part by part, so that each can be read by another process.
    """
    problems: Sequence[str] = field(default=())
    """What was left out by its name already: `LeftOut` messages, and notes."""
    gives_texts: bool = True
    """Whether it gives texts that somebody wrote for the images: two such readings of the same data contradict."""


class Layout(Protocol):
    """A layout of data."""

    @property
    def name(self) -> str:
        """As given with `--layout`: `webdataset`."""
        ...

    @property
    def title(self) -> str:
        """As printed: `WebDataset shards`."""
        ...

    @property
    def recognised_by(self) -> str:
        """What the data look like, in words, for the documentation."""
        ...

    def find(self, source: Source) -> Finding | None:
        """The parts of data that have this layout; None if they do not."""
        ...

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        """The pairs of some parts that `find` found; `name` is that of the data in messages.

        Raises `OpenAlignError` if nothing of them can be read, or a column does not exist.
        """
        ...


@runtime_checkable
class Choosable(Protocol):
    """A layout that data may have although they do not look like it, where the user says so."""

    def find_asked(self, source: Source) -> Finding | None:
        """What `find` gives, and the parts of data that the user says have this layout; None if they cannot."""
        ...
