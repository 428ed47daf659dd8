"""Images that lie in a folder, by the names that a table gives them: which column names them, and where they are."""

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.folder_files import image_files
from openalign.data.pairs.pairs import Pairs

_CAPTION_NUMBER = re.compile(r"(?<=\.\w{3})#\d+$|(?<=\.\w{4})#\d+$")
"""`1000.jpg#0`: the number of the caption, as in Flickr8k's token files."""


class NamedImages:
    """The images below a folder."""

    def __init__(self, folder: Path, files: Iterable[str], below: str = "") -> None:
        """`files`: all files below `folder`, relative, with slashes; those in its folder `below`, if that is given.

        A table that names images elsewhere below `folder` has these rows for others to read.
        """
        self.below = below
        self.folder = folder
        self.files = frozenset(files)
        self.images = frozenset(image_files(self.files, folder))
        self.used: set[str] = set()
        """Images that rows which were read name; filled by the reading of tables."""
        self._by_name: dict[str, list[str]] = {}
        for image in self.images:
            path = PurePosixPath(image)
            for name in (path.name, path.stem):
                self._by_name.setdefault(name, []).append(image)

    def files_of(self, values: Sequence[str | None], beside: Path) -> list[str | None]:
        """The path below `folder` that each value names, whether or not a file is there; None for no name, or a URL.

        Values are relative to `beside`, the folder of the table, or to another folder of images, or begin with a path
        of another machine; which of these is told by the images that are there.
        """
        written = [None if value is None else _as_path(value) for value in values]
        lead, prefix, whole = self._rule(written[:2000], beside)
        found: list[str | None] = []
        for path in written:
            if path is None or not path.startswith(lead):
                found.append(path)
                continue
            file = posixpath.normpath(prefix + path[len(lead) :])
            found.append(file if whole else self._with_suffix(file))
        return found

    def share(self, values: Sequence[str | None], beside: Path) -> float:
        """The share of the values that name an image which is there."""
        if not values:
            return 0.0
        return sum(file in self.images for file in self.files_of(values, beside)) / len(values)

    def with_unnamed(self, pairs: Pairs) -> Pairs:
        """The pairs, with a message on the images that no row named."""
        unnamed = sorted(self.images - self.used)
        if not unnamed:
            return pairs
        message = f"{self.folder}: {len(unnamed):,} images are not named by the table, the first: {unnamed[0]}"
        return replace(pairs, problems=(*pairs.problems, LeftOut(Kind.IMAGE_NOT_NAMED, message, len(unnamed))))

    def _rule(self, written: Sequence[str | None], beside: Path) -> tuple[str, str, bool]:
        """What values begin with instead of what in the paths of their images, and whether they have a suffix."""
        below = os.path.relpath(beside, self.folder)
        here = "" if below == "." else f"{below}/"
        rules: Counter[tuple[str, str, bool]] = Counter()
        for path in written:
            if path is not None:
                rules.update(set(self._rules_of(path, here)))
        rules[("", here, True)] += 0  # what a table means where no image is there
        return max(rules, key=lambda rule: (rules[rule], rule[2], rule[1] == here, -len(rule[0]), -len(rule[1])))

    def _rules_of(self, path: str, here: str) -> Iterable[tuple[str, str, bool]]:
        parts = path.split("/")
        for image in self._by_name.get(parts[-1], ()):
            whole = PurePosixPath(image).name == parts[-1]
            known = image if whole else image.rpartition(".")[0]
            if posixpath.normpath(here + path) == known:
                yield "", here, whole
                continue
            for first in range(len(parts)):  # the longest end that both have in common
                tail = "/".join(parts[first:])
                if known == tail or known.endswith(f"/{tail}"):
                    yield path[: len(path) - len(tail)], known[: len(known) - len(tail)], whole
                    break

    def _with_suffix(self, stem: str) -> str:
        name = posixpath.basename(stem)
        return next((image for image in self._by_name.get(name, ()) if image.rpartition(".")[0] == stem), stem)


def _as_path(value: str) -> str | None:
    """The path in a cell, with slashes; None if it is empty or a URL."""
    value = _CAPTION_NUMBER.sub("", value.strip())
    if value.lower().startswith("file:"):
        value = unquote(urlsplit(value).path)
    if not value or "://" in value or value.startswith("data:"):
        return None
    if "\\" in value and "/" not in value:
        value = value.replace("\\", "/")
    return posixpath.normpath(value)
