"""How a source lists its images now: their names, and what tells without reading an image whether it has changed."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from openalign.data.files.remote import is_url, local_path
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import are_ids
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.pairs import Pairs
from openalign.embedding.names import fields_of, further_columns, image_name
from openalign.errors import OpenAlignError
from openalign.search.store.changes import Listed

_AT_ONCE = 512
_PLAIN = re.compile(r"[\w. ()-][\w. ()/-]{,60}")
"""A path that is nothing else by its form, and has no other way to be written."""
_SETTLED_NS = 2 * 10**9
"""A file whose time is less than this ago may be written again within the same tick of its file system's clock."""
_NOT_WHOLE = {Kind.FOLDER_NOT_READ, Kind.FILE_MISSING, Kind.FILE_NOT_READ}
"""What was left out may hold images: those that are not found are not known to be gone."""


class Source(Protocol):
    """What a run into an index asks of a source, besides its images."""

    number: int
    """In the index."""

    @property
    def name(self) -> str: ...

    @property
    def read_as(self) -> str: ...

    @property
    def problems(self) -> tuple[str, ...]: ...

    @property
    def columns(self) -> list[str]: ...

    @property
    def is_whole(self) -> bool:
        """Whether everything in the source could be looked at."""

    def names(self) -> Iterator[tuple[str, int]]:
        """The name of each image, and how many of that name are before it."""


class SourceListing:
    """The images of an opened source, which has the number `number` in the index."""

    def __init__(self, number: int, given: str | Path, pairs: Pairs) -> None:
        self.number = number
        self.pairs = pairs
        self._base = _base_of(str(given))
        is_file = self._base is not None and not Path(self._base).is_dir()
        self._beside = f"{os.path.dirname(str(self._base))}/" if is_file else ""  # noqa: PTH120
        stored = pairs.images
        self._folder = os.path.abspath(stored.folder) if isinstance(stored, FileImages) else None  # noqa: PTH100
        self._is_base = self._folder == self._base
        self._names = [
            image_name(value, row)
            for value, row in zip(pairs.table["image"].to_pylist(), pairs.source_rows.tolist(), strict=True)
        ]
        self._copies = _copies(self._names)
        self._others = further_columns(pairs.table)
        self._containers: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def is_whole(self) -> bool:
        """Whether everything in the source could be looked at."""
        return not any(isinstance(each, LeftOut) and each.kind in _NOT_WHOLE for each in self.pairs.problems)

    @property
    def name(self) -> str:
        """The name of the source in messages."""
        return self.pairs.name

    @property
    def read_as(self) -> str:
        """How the source was read, in a line."""
        return self.pairs.read_as

    @property
    def problems(self) -> tuple[str, ...]:
        """What was left out when the source was opened."""
        return self.pairs.problems

    @property
    def columns(self) -> list[str]:
        """The names of the columns that `Listed.fields` has."""
        return self._others

    def names(self) -> Iterator[tuple[str, int]]:
        """The name of each image, and how many of that name are before it."""
        return zip(self._names, self._copies, strict=True)

    def images(self) -> Iterator[tuple[int, list[Listed]]]:
        """All images in order, some at once, each time with the row of the first."""
        for start in range(0, len(self), _AT_ONCE):
            some = self.pairs.table.slice(start, _AT_ONCE)
            texts, labels, pages = (_texts(some, column) for column in ("text", "label", "page"))
            fields = fields_of(some.select(self._others)) if self._others else [None] * len(some)
            rows = range(start, start + len(some))
            now = time.time_ns()
            places = [self._place(row, now) for row in rows]
            # A folder "2020" says nothing of its images.
            ids = {label: are_ids([label]) for label in set(labels) if label}
            named = [None if label is None or ids[label] else label for label in labels]
            shown = [text or label for text, label in zip(texts, named, strict=True)]
            columns = zip(rows, places, shown, pages, labels, fields, strict=True)
            yield (
                start,
                [
                    Listed(self.number, self._names[row], self._copies[row], stamp, path, text, page, label, other)
                    for row, (stamp, path), text, page, label, other in columns
                ],
            )

    def _place(self, row: int, now: int) -> tuple[str, str | None]:
        """The stamp of an image, and its path if it is in a file of its own; `now` is a moment before, in ns."""
        if self._folder is not None and _PLAIN.fullmatch(self._names[row]):
            path = f"{self._folder}/{self._names[row]}"
            stamp = _stamp(path, now)
            if stamp is None:
                return "", None
            return stamp, self._names[row] if self._is_base else self._relative(path)
        try:
            location = self.pairs.images.location(row)
        except OpenAlignError:
            return "", None
        scheme, _, place = location.partition("://")
        if scheme == "file":
            stamp = _stamp(place, now)
            return ("", None) if stamp is None else (stamp, self._relative(place))
        container, _, span = place.rpartition("#")
        if scheme not in ("tar", "parquet"):
            return "", None
        if scheme == "tar" and span.count("+") == 2:
            return f"digest {span.rpartition('+')[2]}", None
        if container not in self._containers:
            self._containers[container] = _stamp(container, now) or ""
        state = self._containers[container]
        return (f"{span} {state}" if state else ""), None

    def _relative(self, path: str) -> str:
        """The path of a file relative to its source; `../x.jpg` lies beside a table."""
        if self._base is not None:
            if path.startswith(f"{self._base}/"):
                return path[len(self._base) + 1 :]
            if self._beside and path.startswith(self._beside):
                return f"../{path[len(self._beside) :]}"
        return path


def _base_of(given: str) -> str | None:
    """The absolute path of a local source."""
    path = local_path(given) if given.startswith("file://") else given
    return None if is_url(path) else os.path.abspath(path)  # noqa: PTH100 - links are not resolved


def _stamp(path: str, now: int) -> str | None:
    """Size and time of a file; "" if it may change without changing them, None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a hundred thousand times
    except (OSError, ValueError):
        return None
    if now - status.st_mtime_ns < _SETTLED_NS:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _copies(names: list[str]) -> list[int]:
    if len(set(names)) == len(names):
        return [0] * len(names)
    counts: Counter[str] = Counter()
    copies = []
    for name in names:
        copies.append(counts[name])
        counts[name] += 1
    return copies


def _texts(table: pa.Table, column: str) -> list[str | None]:
    """A column as texts; None where it has none."""
    if column not in table.column_names:
        return [None] * len(table)
    return [None if value is None or value == "" else str(value) for value in table[column].to_pylist()]
