"""How a source lists its images now: their names, and what tells without reading an image whether it has changed."""

import hashlib
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from openalign.data.files.remote import is_url, local_path
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import are_ids
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.search.store.changes import Listed

_AT_ONCE = 512
_LONGEST_NAME = 2000
"""Characters; a longer one is the image itself, written as text."""
_LONGEST_FIELD = 2000
_PLAIN = re.compile(r"[\w. ()-][\w. ()/-]{,60}")
"""A path that is nothing else by its form, and has no other way to be written."""
_SETTLED_NS = 2 * 10**9
"""A file whose time is less than this ago may be written again within the same tick of its file system's clock."""
_OWN_COLUMNS = {"image", "text", "label", "page"}
_NOT_WHOLE = {Kind.FOLDER_NOT_READ, Kind.FILE_MISSING, Kind.FILE_NOT_READ}
"""What was left out may hold images: those that are not found are not known to be gone."""


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
        self._names = [
            _name(value, row) for value, row in zip(pairs.table["image"].to_pylist(), pairs.source_rows, strict=True)
        ]
        self._copies = _copies(self._names)
        self._others = [name for name, kind in zip(pairs.table.column_names, pairs.table.schema.types, strict=True)
                        if name not in _OWN_COLUMNS and _is_plain(kind)]  # fmt: skip
        self._containers: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def is_whole(self) -> bool:
        """Whether everything in the source could be looked at."""
        return not any(isinstance(each, LeftOut) and each.kind in _NOT_WHOLE for each in self.pairs.problems)

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
            fields = _fields(some.select(self._others)) if self._others else [None] * len(some)
            rows = range(start, start + len(some))
            places = [self._place(row) for row in rows]
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

    def _place(self, row: int) -> tuple[str, str | None]:
        """The stamp of an image, and its path if it is in a file of its own."""
        if self._folder is not None and _PLAIN.fullmatch(self._names[row]):
            path = f"{self._folder}/{self._names[row]}"
            stamp = _stamp(path)
            return ("", None) if stamp is None else (stamp, self._relative(path))
        try:
            location = self.pairs.images.location(row)
        except OpenAlignError:
            return "", None
        scheme, _, place = location.partition("://")
        if scheme == "file":
            stamp = _stamp(place)
            return ("", None) if stamp is None else (stamp, self._relative(place))
        container, _, span = place.rpartition("#")
        if scheme not in ("tar", "parquet"):
            return "", None
        if scheme == "tar" and span.count("+") == 2:
            return f"digest {span.rpartition('+')[2]}", None
        if container not in self._containers:
            self._containers[container] = _stamp(container) or ""
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


def _stamp(path: str) -> str | None:
    """Size and time of a file; "" if it may change without changing them, None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a hundred thousand times
    except (OSError, ValueError):
        return None
    if time.time_ns() - status.st_mtime_ns < _SETTLED_NS:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _name(value: str | None, source_row: int) -> str:
    if not value:
        return f"row {source_row + 1}"
    if len(value) <= _LONGEST_NAME:
        return value
    return f"{value[:40]}... {hashlib.blake2b(value.encode(), digest_size=16).hexdigest()}"


def _copies(names: list[str]) -> list[int]:
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


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _fields(table: pa.Table) -> list[str | None]:
    """The values of each row by column, as JSON: numbers and lists as they are, everything else as text."""
    rows = ({name: _plain(value) for name, value in row.items()} for row in table.to_pylist())
    filled: Iterator[Mapping[str, Any]] = ({k: value for k, value in row.items() if value is not None} for row in rows)
    return [json.dumps(row, ensure_ascii=False) if row else None for row in filled]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return str(value)[:_LONGEST_FIELD] if value not in (None, "") else None
