"""The members of a tar by their names: which sample each belongs to, and what of it.

The suffix of a member is what follows the last dot of its name, its key what comes before: `a/shop.v2.jpg` is the image
of `a/shop.v2`. WebDataset cuts at the first dot instead; `grouping` brings names such as `a.seg.png` back to `a`.
"""

from enum import Enum
from typing import NamedTuple

from openalign.data.images.formats import FORMATS


class Part(Enum):
    """What a member is to its sample."""

    IMAGE = "image"
    UNREAD_IMAGE = "image of a format that is not read"
    TEXT = "text"
    FIELDS = "fields"
    LABEL = "label"
    OTHER = "other"


class Member(NamedTuple):
    """A file in a tar."""

    name: str
    """As in the tar, without `./` in front."""
    key: str
    suffix: str
    """In lower case, without the dot."""
    part: Part
    offset: int
    """Of its content, in bytes within the tar."""
    size: int
    content: bytes | None = None
    """Of a text, label or `.json`; None if it is not read."""


IMAGE_ORDER = (
    *(suffix for each in FORMATS if each.is_decoded for suffix in each.suffixes),
    *("pgm", "pbm", "pnm", "jpe"),
)
"""Suffixes of images that are read. The image of a sample with several is the one that comes first here."""
TEXT_ORDER = ("txt", "caption", "cap", "text")
"""Suffixes of texts. The text of a sample with several is the one that comes first here."""
LABEL_SUFFIX = "cls"
_UNREAD_IMAGES = (
    *(suffix for each in FORMATS if not each.is_decoded for suffix in each.suffixes),
    *("jxl", "svg", "svgz", "psd", "exr", "hdr", "tga", "eps"),
)
_PARTS = {
    **dict.fromkeys(IMAGE_ORDER, Part.IMAGE),
    **dict.fromkeys(_UNREAD_IMAGES, Part.UNREAD_IMAGE),
    **dict.fromkeys(TEXT_ORDER, Part.TEXT),
    "json": Part.FIELDS,
    LABEL_SUFFIX: Part.LABEL,
}
_HIDDEN_NAMES = frozenset(("__MACOSX", "Thumbs.db", "thumbs.db", "desktop.ini", "@eaDir", "PaxHeader"))


def parsed(name: str) -> tuple[str, str, str, Part]:
    """Name, key, suffix and part of a member of a tar."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    folder, slash, last = name.rpartition("/")
    stem, _, suffix = last.rpartition(".")
    if not stem:
        return name, name, "", Part.OTHER
    suffix = suffix.lower()
    return name, f"{folder}{slash}{stem}", suffix, _PARTS.get(suffix, Part.OTHER)


def is_hidden(name: str) -> bool:
    """Whether a member is hidden, or a thumbnail or a resource file that an operating system or a NAS put there.

    macOS adds `._a.jpg` (AppleDouble) and `__MACOSX/`; older unpackers leave `PaxHeaders.123/a.jpg`.
    """
    if name[:1] not in ".TtdP_@" and "/" not in name:
        return False
    return any(
        (part[:1] == "." and part not in (".", "..")) or part in _HIDDEN_NAMES or part.startswith("PaxHeaders")
        for part in name.split("/")
    )


def rank(suffix: str, order: tuple[str, ...]) -> tuple[int, int, str]:
    """Sorts suffixes of one sample: plain ones by `order`, then those with dots (`seg.png`) by their last part."""
    last = suffix.rpartition(".")[2]
    place = order.index(last) if last in order else len(order)
    return suffix.count("."), place, suffix
