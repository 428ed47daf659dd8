"""What was left out of the data that was read: a message for each thing, with its kind and number."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of things that are left out, as they are counted in `openalign inspect` and in reports."""

    ROW_WITHOUT_TEXT = "rows without a text"
    ROW_WITHOUT_IMAGE = "rows without an image"
    ROW_NOT_PARSED = "rows that cannot be parsed"
    TEXT_NOT_READ = "texts that cannot be read"
    METADATA_NOT_READ = "metadata that cannot be read"
    IMAGE_NOT_READ = "images that cannot be read"
    IMAGE_FORMAT = "images of a format that is not read"
    FILE_NOT_READ = "files that cannot be read"
    FILE_NOT_USED = "files of a kind that is not read"
    MEMBER_NOT_USED = "tar members of a kind that is not read"
    SAMPLE_WITHOUT_IMAGE = "samples without an image"
    EXTRA_IMAGE = "further images of a sample"
    SAMPLE_CUT_OFF = "samples lost where a file is cut off"
    FILE_MISSING = "files that are announced and missing"
    NAME_NOT_UTF8 = "names that are not UTF-8"
    LINK_NOT_FOLLOWED = "links that are not followed"
    FOLDER_NOT_READ = "folders that are not read"
    HIDDEN = "hidden files, thumbnails and files of other programs"


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


def counted(problems: Iterable[str]) -> dict[str, int]:
    """How many things of each kind were left out, by the messages: kind -> number, the most frequent first."""
    counts: Counter[str] = Counter()
    for problem in problems:
        if isinstance(problem, LeftOut):
            counts[problem.kind.value] += problem.number
    return dict(counts.most_common())
