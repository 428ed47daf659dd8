"""What was left out of the data that was read: a message for each thing, with its kind and number."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from openalign.errors import OpenAlignError
from openalign.options import option


class Kind(StrEnum):
    """Kinds of things that are left out, as they are counted in `openalign inspect` and in reports."""

    ROW_WITHOUT_TEXT = "rows without a text"
    ROW_WITHOUT_IMAGE = "rows without an image"
    ROW_OF_OTHER_LABEL = "rows of other labels"
    ROW_WITHOUT_SPLIT = "rows without a split"
    ROW_NOT_PARSED = "rows that cannot be parsed"
    TEXT_NOT_READ = "texts that cannot be read"
    METADATA_NOT_READ = "metadata that cannot be read"
    IMAGE_NOT_READ = "images that cannot be read"
    IMAGE_FORMAT = "images of a format that is not read"
    FILE_NOT_READ = "files that cannot be read"
    FILE_NOT_USED = "files of a kind that is not read"
    MEMBER_NOT_USED = "tar members of a kind that is not read"
    MEMBER_REPEATED = "tar members of a name that comes more than once"
    SAMPLE_WITHOUT_IMAGE = "samples without an image"
    EXTRA_IMAGE = "further images of a sample"
    FURTHER_FRAME = "further pages or frames of images"
    SAMPLE_CUT_OFF = "samples lost where a file is cut off"
    RECORD_NOT_READ = "WARC records that cannot be read"
    PAGE_NOT_READ = "pages that cannot be read"
    IMAGE_NOT_NAMED = "images that the table beside them does not name"
    IMAGE_OUTSIDE = "images beside what is read"
    FILE_MISSING = "files that are announced and missing"
    NAME_NOT_UTF8 = "names that are not UTF-8"
    LINK_NOT_FOLLOWED = "links that are not followed"
    FOLDER_NOT_READ = "folders that are not read"
    HIDDEN = "hidden files, thumbnails and files of other programs"
    CAPTION_WITHOUT_IMAGE = "captions of images that are not there"
    LABEL_WITHOUT_NAME = "labels that no class name belongs to"


ALLOWED = (Kind.HIDDEN, Kind.FURTHER_FRAME)
"""Kinds that `--strict` allows: files that other programs put there, and frames of images of which one is read."""
MOST_SINGLE = 20
"""Messages on single things of a kind that one file gets; one more says how many others there are."""


class LeftOut(str):
    """A message about things that were left out; a plain string among such messages is a note: nothing was left out.

    It is a string, so that messages can be printed, joined and compared without knowing of kinds.
    """

    kind: Kind
    number: int

    def __new__(cls, kind: Kind, message: str, number: int = 1) -> "LeftOut":
        """`number` things of one kind; an unknown number is 1."""
        self = super().__new__(cls, message)
        self.kind = kind
        self.number = number
        return self

    def __getnewargs__(self) -> tuple[Kind, str, int]:  # type: ignore[override]
        return self.kind, str(self), self.number


def as_json(problem: str) -> Any:
    """A problem as JSON holds it, with kind and number."""
    return [problem.kind.value, str(problem), problem.number] if isinstance(problem, LeftOut) else problem


def from_json(stored: Any) -> str:
    """The problem that `as_json` wrote. Raises ValueError or TypeError for anything else."""
    if isinstance(stored, str):
        return stored
    kind, message, number = stored
    return LeftOut(Kind(kind), message, number)


def counted(problems: Iterable[str]) -> dict[str, int]:
    """How many things of each kind were left out, by the messages: kind -> number, the most frequent first."""
    counts: Counter[str] = Counter()
    for problem in problems:
        if isinstance(problem, LeftOut):
            counts[problem.kind.value] += problem.number
    return dict(counts.most_common())


def refuse_left_out(name: str, problems: Iterable[str]) -> None:
    """Raise `OpenAlignError` if anything was left out that `--strict` forbids: all but `ALLOWED`."""
    lost = [problem for problem in problems if isinstance(problem, LeftOut) and problem.kind not in ALLOWED]
    if lost:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in counted(lost).items())
        raise OpenAlignError(
            f"{name}: {kinds} would be left out, which {option('strict')} forbids. The first: {lost[0]}"
        )


class Listing:
    """The messages of one file about things that were left out: `MOST_SINGLE` of each kind, the others counted."""

    def __init__(self, where: object) -> None:
        self.messages: list[LeftOut] = []
        self._where = where
        self._counts: Counter[Kind] = Counter()

    def add(self, kind: Kind, message: str) -> None:
        """Note that one thing was left out; the message says which and why."""
        self._counts[kind] += 1
        if self._counts[kind] <= MOST_SINGLE:
            self.messages.append(LeftOut(kind, message))

    def include(self, other: "Listing") -> None:
        """Add what another listing of the same file has."""
        room = {kind: MOST_SINGLE - number for kind, number in self._counts.items()}
        for kind in other._counts:
            single = [message for message in other.messages if message.kind == kind]
            self.messages += single[: max(room.get(kind, MOST_SINGLE), 0)]
        self._counts += other._counts

    def further(self) -> list[LeftOut]:
        """A message for each kind of which more things were left out than there are messages."""
        counts = {kind: number - MOST_SINGLE for kind, number in self._counts.items() if number > MOST_SINGLE}
        return [LeftOut(kind, f"{self._where}: {more:,} more {kind}", more) for kind, more in counts.items()]


@contextmanager
def listing(problems: list[str], where: object) -> Iterator[Listing]:
    """Collect messages on the things that are left out of the file `where`; they are added to `problems` at the end."""
    found = Listing(where)
    try:
        yield found
    finally:
        problems += [*found.messages, *found.further()]


def listed(kind: Kind, messages: Sequence[str], where: object) -> list[str]:
    """The messages on things of a kind that were left out of `where`, as `listing` adds them."""
    found = Listing(where)
    for message in messages:
        found.add(kind, message)
    return [*found.messages, *found.further()]
