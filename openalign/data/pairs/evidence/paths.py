"""How the values of a table become paths of images: what is taken off them, and what is put before them."""

import posixpath
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from openalign.data.files.image_value import Form, form_of, local_path
from openalign.data.images.maps import IMAGE_FOLDERS

_CAPTION_NUMBER = re.compile(r"(?<=\.\w{3})#\d+$|(?<=\.\w{4})#\d+$")
"""`1000.jpg#0`: the number of the caption, as in Flickr8k's token files."""


@dataclass(frozen=True)
class PathRule:
    """Values that begin with `lead` are paths that begin with `prefix` instead."""

    lead: str
    prefix: str
    with_suffix: bool
    found: int
    """Images found by it, of those that a sample of the rows names."""
    from_table: bool
    """Whether values are relative to the folder of the table."""

    def file_of(self, path: str) -> str:
        """What a path that begins with `lead` is below the folder of the images, maybe without a suffix."""
        return posixpath.normpath(self.prefix + path[len(self.lead) :])

    @property
    def strength(self) -> tuple[int, bool, bool, bool, int]:
        is_for_images = PurePosixPath(self.prefix).name.lower() in IMAGE_FOLDERS
        return self.found, self.with_suffix, self.from_table, is_for_images, -len(self.lead)


def folded(path: str) -> str:
    """The path as file systems compare it that know no case, or write accents as characters of their own."""
    return path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path).casefold()


def as_path(value: str) -> str | None:
    """The path in a cell, with slashes; None if it is empty or a URL."""
    value = _CAPTION_NUMBER.sub("", value.strip())
    if not value or form_of(value) not in (Form.PATH, Form.FILE_URL):
        return None
    path = local_path(value)
    return posixpath.normpath(path.replace("\\", "/") if "/" not in path else path)
