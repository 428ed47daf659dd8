"""Images that lie in a folder, by the names that a table gives them: which column names them, and where they are."""

import os
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from openalign.data.images.formats import is_image_name
from openalign.data.images.maps import maps_among
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.evidence.numbered import NumberedImages
from openalign.data.pairs.evidence.paths import PathRule, as_path, folded
from openalign.data.pairs.folder_files import image_files
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError

_SAMPLE = 2000
"""Rows by which is told how values become paths."""
_ENOUGH = 0.1
_ENOUGH_WITHOUT_SUFFIX = 0.5
_ENOUGH_DISTINCT = 0.15
"""Share of the rows, or of the images if these are fewer, that ids without a suffix name: images have few captions."""


class NamedImages:
    """The images below a folder."""

    def __init__(
        self, folder: Path, files: Iterable[str], below: str = "", split_of: Callable[[str], str] = lambda name: ""
    ) -> None:
        """`files`: all files below `folder`, relative, with slashes; those in its folder `below`, if that is given.

        A table that names images elsewhere below `folder` has these rows for others to read. `split_of`: the split that
        a name tells, "" if none; a table of one split names no images of another.
        """
        self.below = below
        self.folder = folder
        self.files = frozenset(files)
        self.images = frozenset(image_files(self.files, folder))
        self.used: set[str] = set()
        """Images that rows which were read name; filled by the reading of tables."""
        self._split_of = split_of
        self._by_name: dict[str, list[str]] = {}
        for image in self.images:
            path = PurePosixPath(image)
            for name in (path.name, path.stem):
                self._by_name.setdefault(name, []).append(image)
        alike: dict[str, list[str]] = {}
        for image in self.images:
            alike.setdefault(folded(image), []).append(image)
        self._numbered: NumberedImages | None = None
        self._alike = {each: images[0] for each, images in alike.items() if len(images) == 1}

    def files_of(self, values: Sequence[str | None], table: Path) -> list[str | None]:
        """The path below `folder` that each value names, whether or not a file is there; None for no name, or a URL.

        Values are relative to the folder of the table, or to another folder of images, or begin with a path of another
        machine; which of these is told by the images that are there.
        """
        written = [None if value is None else as_path(value) for value in values]
        rule = self._rules(written[:_SAMPLE], table)[0]
        split = self._split_of(table.name)
        found: list[str | None] = []
        is_spread = False
        for path in written:
            if path is None or not path.startswith(rule.lead):
                found.append(path)
                continue
            file = rule.file_of(path)
            file = file if rule.with_suffix else self._with_suffix(file)
            if file not in self.files:
                only = None if "/" in path else self._only(path, split)
                is_spread = is_spread or bool(only and not rule.from_table)
                file = self._alike.get(folded(file)) or only or file
            found.append(file if file in self.files else self._with_number(file, path, split))
        return self._without_doubtful(written, found, split) if is_spread else found

    def _without_doubtful(
        self, written: Sequence[str | None], found: Sequence[str | None], split: str
    ) -> list[str | None]:
        """What was `found`, without images whose name is in several of the folders that the images are spread over."""
        return [
            path if path and file in self.images and len(self._folders_with(path, split)) > 1 else file
            for path, file in zip(written, found, strict=True)
        ]

    def absence(self, value: str, table: Path) -> str:
        """Why `files_of` finds no image for a value, as the end of a sentence."""
        folders = sorted(self._folders_with(as_path(value) or "", self._split_of(table.name)))
        return f"which is in {folders[0]} and in {folders[1]}" if len(folders) > 1 else "which is not there"

    def _folders_with(self, name: str, split: str) -> set[str]:
        """The folders that hold an image of this name, which is no path; those of other splits and of masks aside."""
        return {image.rpartition("/")[0] for image in self._called(name, split)}

    def _called(self, name: str, split: str) -> list[str]:
        found = self._by_name.get(name, [])
        if len(found) > 1:
            found = [image for image in found if image not in self._maps]
        return [image for image in found if not self._contradict(split, self._split_of(image.rpartition("/")[0]))]

    @cached_property
    def _maps(self) -> frozenset[str]:
        return frozenset(maps_among(sorted(self.images)))

    def check_sure(self, values: Sequence[str | None], table: Path) -> None:
        """Raise `OpenAlignError` if images of these names are in several folders, and nothing tells which are meant."""
        written = [None if value is None else as_path(value) for value in values[:_SAMPLE]]
        first, *others = self._rules(written, table)
        if not first.found:
            return
        for other in others:
            if other.strength == first.strength and any(self._is_in_both(path, first, other) for path in written):
                raise OpenAlignError(
                    f"{table} names images that are in {self.folder / first.prefix} and in "
                    f"{self.folder / other.prefix}: give one of these folders with the names in the table"
                )

    def _is_in_both(self, path: str | None, one: PathRule, other: PathRule) -> bool:
        """Whether two rules find different images for a path, and not parts of a data set in a folder each."""
        if path is None:
            return False
        found = [rule.file_of(path) for rule in (one, other) if path.startswith(rule.lead)]
        images = {self._with_suffix(file) if file not in self.images else file for file in found}
        return len(images) > 1 and images <= self.images

    def are_named_by(self, values: Sequence[str | None], table: Path) -> bool:
        """Whether values name images that are there: a tenth of them with the suffix, or half of them without.

        Numbers without a suffix may be the names of images by chance. Of the images some may be lost.
        """
        found = [file in self.images for file in self.files_of(values, table)]
        filled = sum(bool(value) for value in values)
        if any(value and is_image_name(value) for value in values):
            return any(found) and sum(found) >= _ENOUGH * filled
        return any(found) and sum(found) >= _ENOUGH_WITHOUT_SUFFIX * filled and self._are_ids(values, table)

    def are_ids_of(self, values: Sequence[str | None], table: Path) -> list[bool]:
        """Which of some values name an image that is there; none if they may do so by chance (see `are_named_by`)."""
        if not self.are_named_by(values, table):
            return []
        return [file in self.images for file in self.files_of(values, table)]

    def number_named(self, values: Sequence[str | None], table: Path) -> int:
        """How many of the images that are there are named by these values."""
        return len({file for file in self.files_of(values, table) if file in self.images})

    def _are_ids(self, values: Sequence[str | None], table: Path) -> bool:
        """Whether values without a suffix name enough images to be no labels, of which many rows share one."""
        filled = sum(bool(value) for value in values)
        return self.number_named(values, table) >= _ENOUGH_DISTINCT * min(filled, len(self.images))

    def with_unnamed(self, pairs: Pairs) -> Pairs:
        """The pairs, with a message on the images that no row named."""
        unnamed = sorted(self.images - self.used)
        if not unnamed:
            return pairs
        message = f"{self.folder}: {len(unnamed):,} images are not named by the table, the first: {unnamed[0]}"
        return replace(pairs, problems=(*pairs.problems, LeftOut(Kind.IMAGE_NOT_NAMED, message, len(unnamed))))

    def _rules(self, written: Sequence[str | None], table: Path) -> list[PathRule]:
        """How values become paths, the best rule first; at least the one that they are relative to the table."""
        below = os.path.relpath(table.parent, self.folder)
        here = "" if below == "." else f"{below}/"
        split = self._split_of(table.name)
        counts: Counter[tuple[str, str, bool]] = Counter()
        for path in written:
            if path is not None:
                counts.update(set(self._rules_of(path, here, split)))
        counts[("", here, True)] += 0
        rules = [
            PathRule(lead, prefix, whole, count, prefix == here and not lead)
            for (lead, prefix, whole), count in counts.items()
        ]
        return sorted(rules, key=lambda rule: (rule.strength, -len(rule.prefix), rule.prefix), reverse=True)

    def _rules_of(self, path: str, here: str, split: str) -> Iterable[tuple[str, str, bool]]:
        parts, beside = path.split("/"), posixpath.normpath(here + path)
        if beside in self.images:
            yield "", here, True
            return
        for image in self._by_name.get(parts[-1], ()) if len(parts) > 1 else self._called(path, split):
            whole = image.rpartition("/")[2] == parts[-1]
            known = image if whole else image.rpartition(".")[0]
            if beside == known:
                yield "", here, whole
                continue
            for first in range(len(parts)):  # the longest end that both have in common
                tail = "/".join(parts[first:])
                if known == tail or known.endswith(f"/{tail}"):
                    lead, prefix = path[: len(path) - len(tail)], known[: len(known) - len(tail)]
                    # A folder that is not there is not another one, unless it is on another machine.
                    is_meant = not lead or path.startswith("/") or "/" in tail or self._is_called(lead, prefix, here)
                    if is_meant and not self._contradict(self._split_of(lead) or split, self._split_of(prefix)):
                        yield lead, prefix, whole
                    break

    def _is_called(self, lead: str, prefix: str, here: str) -> bool:
        """Whether `lead` is the folder `prefix` itself: by its name with those above it, or from the table's folder."""
        folder = os.path.normpath((self.folder / prefix).absolute())
        name = lead.strip("/")
        return folder.endswith(f"/{name}") or os.path.normpath((self.folder / here / name).absolute()) == folder

    def _contradict(self, one: str, other: str) -> bool:
        return bool(one and other and one != other)

    def _with_suffix(self, stem: str) -> str:
        name = posixpath.basename(stem)
        return next((image for image in self._by_name.get(name, ()) if image.rpartition(".")[0] == stem), stem)

    def _with_number(self, file: str, path: str, split: str) -> str:
        """The only image with the number of `file`, which is not there: `000017.jpg` for `17`; `file` if there is none.

        `path` is what the table says; a folder in it must be the image's.
        """
        self._numbered = self._numbered or NumberedImages(self.images)
        folder, name = posixpath.split(file)
        stem = name.rpartition(".")[0] if is_image_name(name) else name
        found = [image for image in self._numbered.called(stem) if not self._contradict(split, self._split_of(image))]
        inside = [image for image in found if posixpath.dirname(image) == folder]
        found = inside if inside or "/" in path else found
        return found[0] if len(found) == 1 else file

    def _only(self, name: str, split: str) -> str | None:
        """The only image of this name, as where many images are spread over folders; None if there is not one."""
        images = self._called(name, split)
        return images[0] if len(images) == 1 else None


def folders_up_to(source: str, folder: Path) -> list[Path]:
    """A folder, and those above it as far as the DATA argument `source`, if that is a folder around it."""
    top = Path(source.removeprefix("file://"))
    if not folder.is_relative_to(top):
        return [folder]
    return [folder, *(each for each in folder.parents if each.is_relative_to(top))]
