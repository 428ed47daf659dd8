"""The tables of an opened index; every value that is read is checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError
from openalign.search.query.conditions import Condition
from openalign.search.rows import DIGEST_BYTES, Row
from openalign.search.store.checks import check_of, check_of_groups, check_of_lines, check_of_rows, check_of_thumbnail
from openalign.search.store.database import Snapshot
from openalign.search.store.groups import Groups
from openalign.search.store.meta import Meta, meta_from
from openalign.search.store.texts import Texts, texts_of

IMAGE_COLUMNS = (
    *("row", "image", "path", "text", "page", "width", "height", "source", "digest", "date", "latitude", "longitude"),
    *("folder", "bytes", "label", "fields"),
)
"""The columns of `images` that its check value is of, after `id`."""
IMAGES = f"SELECT crc, id, {', '.join(IMAGE_COLUMNS)} FROM images"
FILE_COLUMNS = ("source", "name", "copy", "stamp", "path", "text", "page", "label", "fields", "image")
"""The columns of `files` that its check value is of."""
FILES = f"SELECT crc, {', '.join(FILE_COLUMNS)} FROM files"
_TYPES: tuple[Any, ...] = (
    *(int, int, str, str | None, str | None, str | None, int, int, int, bytes, str | None, float | None, float | None),
    *(str | None, int, str | None, str | None),
)
"""Of `id` and `IMAGE_COLUMNS`."""


@dataclass(frozen=True)
class Stored:
    """A row of `images`: `path` is that of the file, relative to its source (`../x.jpg` beside a table) or absolute."""

    id: int
    path: str | None
    row: Row


class RowTable:
    """The tables of a snapshot; safe to use from many threads.

    Raises:
        DamagedIndex: a value that is read is not as it was written.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.meta = read_state(snapshot)
        self.deleted = self._read_deleted()
        """The rows of deleted images, sorted."""
        if snapshot.one("SELECT count(*) FROM images") != (self.meta.images,):
            raise snapshot.damaged("rows are missing")

    def row(self, number: int) -> Stored:
        """The image of this row; raises OpenAlignError if there is none."""
        if not self.holds(number):
            raise OpenAlignError(self._no_row(number))
        found = self._snapshot.one(f"{IMAGES} WHERE row = ?", number)
        if found is None:
            raise self._snapshot.damaged(f"row {number} is missing")
        stored = self._checked(found)
        if stored.row.row != number:
            raise self._snapshot.damaged(f"row {number} is another one")
        return stored

    def holds(self, number: int) -> bool:
        """Whether there is an image in this row."""
        at = np.searchsorted(self.deleted, number)
        return 0 <= number < self.meta.rows and not (at < len(self.deleted) and self.deleted[at] == number)

    def matching(self, condition: Condition) -> NDArray[np.int64]:
        """The rows for which a condition holds, sorted."""
        # Rows are sorted here: SQLite would follow its index of rows, and look up each of them.
        found = self._snapshot.all(f"SELECT row FROM images WHERE {condition.sql}", *condition.parameters)
        rows_N = np.sort(np.fromiter((row for (row,) in found), np.int64))
        if len(rows_N) and not 0 <= rows_N[0] <= rows_N[-1] < self.meta.rows:
            raise self._snapshot.damaged("it has rows that do not exist")
        return rows_N

    def ids(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids of all images, sorted, and their rows."""
        found = np.array(list(self._snapshot.all("SELECT id, row FROM images ORDER BY id")), np.int64).reshape(-1, 2)
        return found[:, 0].copy(), found[:, 1].copy()

    def select(self, sql: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        """The answer of SQLite, whose values are not compared with check values."""
        return self._snapshot.all(sql, *parameters)

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row; raises OpenAlignError if there is no such row."""
        stored = self.row(number)
        found = self._snapshot.one("SELECT jpeg, crc FROM thumbnails WHERE id = ?", stored.id)
        if found is None or not isinstance(found[0], bytes):
            raise self._snapshot.damaged(f"row {number} has no thumbnail")
        if check_of_thumbnail(found[0], stored.row.digest) != found[1]:
            raise self._snapshot.damaged(f"the thumbnail of row {number} has changed")
        return found[0]

    def names(self, number: int) -> Iterator[tuple[int, str, int, str | None]]:
        """Every source and name under which the image of a row is found there: (source, name, copy, path)."""
        stored = self.row(number)
        found = list(self._snapshot.all(f"{FILES} WHERE image = ? ORDER BY source, id", stored.id))
        # None while a writer removes images; otherwise it is SQLite's index that has lost them.
        if not found and self._snapshot.one("SELECT 1 FROM files NOT INDEXED WHERE image = ?", stored.id):
            raise self._snapshot.damaged(f"the names of row {number} are missing")
        for check, *values in found:
            if check_of(*values) != check:
                raise self._snapshot.damaged(f"a name of row {number} has changed")
            yield values[0], values[1], values[2], values[4]

    @cached_property
    def groups(self) -> Groups:
        """Which images are near-duplicates of each other."""
        found = list(self._snapshot.all("SELECT id, leader, row FROM alike LEFT JOIN images USING (id) ORDER BY id"))
        if check_of_groups([each[:2] for each in found]) != self.meta.alike_check:
            raise self._snapshot.damaged("its near-duplicates have changed")
        rows_N, leaders_N = (np.array([each[at] for each in found], np.int64) for at in (2, 1))
        return Groups.from_leaders(rows_N, leaders_N)

    @cached_property
    def texts(self) -> Texts:
        """The texts with vectors, which are read into memory."""
        rows = self._snapshot.all("SELECT text, vector, crc FROM texts ORDER BY number")
        found = texts_of(((text, vector, crc) for text, vector, crc in rows), self.meta.width)
        if found is None or len(found[0]) != self.meta.texts:
            raise self._snapshot.damaged("its texts have changed")
        return Texts(*found, self._texts_of_rows)

    def _texts_of_rows(self) -> Iterator[tuple[int, str]]:
        yield from ((row, text) for row, text in self._snapshot.all("SELECT row, text FROM images WHERE text <> ''"))

    def blocks(self) -> NDArray[np.int64]:
        """The check values of the vectors, in order."""
        found = list(self._snapshot.all("SELECT block, crc FROM blocks ORDER BY block"))
        if [block for block, _ in found] != list(range(len(found))):
            raise self._snapshot.damaged("check values are missing")
        return np.array([crc for _, crc in found], np.int64)

    def problems(self) -> list[str]:
        """One message for each image that was left out."""
        found = [message for (message,) in self._snapshot.all("SELECT message FROM problems ORDER BY number")]
        if check_of_lines(found) != self.meta.problems_check:
            raise self._snapshot.damaged("its problems have changed")
        return found

    def check_thoroughly(self) -> None:
        """Read every table; raises DamagedIndex if anything in them is not as it was written."""
        if self._snapshot.one("PRAGMA integrity_check(1)") != ("ok",):
            raise self._snapshot.damaged("SQLite's integrity_check fails")
        rows = [self._checked(found).row.row for found in self._snapshot.all(f"{IMAGES} ORDER BY row")]
        expected = np.setdiff1d(np.arange(self.meta.rows), self.deleted)
        if not np.array_equal(rows, expected):
            raise self._snapshot.damaged("its rows are not those that were written")
        for row in rows:
            self.thumbnail(row)
            list(self.names(row))
        self.problems()
        len(self.groups.members)
        len(self.texts)

    def _read_deleted(self) -> NDArray[np.int64]:
        rows = [row for (row,) in self._snapshot.all("SELECT row FROM deleted ORDER BY row")]
        deleted = np.array(rows, np.int64)
        if len(deleted) != self.meta.deleted or check_of_rows(deleted) != self.meta.deleted_check:
            raise self._snapshot.damaged("its deleted rows have changed")
        return deleted

    def _no_row(self, number: int) -> str:
        where, last = self._snapshot.path.parent, self.meta.rows - 1
        if 0 <= number <= last:
            return f"row {number} is not in {where}: its image was removed."
        return f"row {number} is not in {where}: it has rows 0 to {last}."

    def _checked(self, found: tuple[Any, ...]) -> Stored:
        check, *values = found
        if not all(isinstance(value, kind) for value, kind in zip(values, _TYPES, strict=True)):
            raise self._snapshot.damaged(f"row {values[1]} has values of a wrong type")
        if check_of(*values) != check:
            raise self._snapshot.damaged(f"row {values[1]} has changed since it was written")
        id_, row, name, path, text, page, width, height, source, digest, *facts = values
        if not (min(width, height) >= 0 and 0 <= source < len(self.meta.sources) and len(digest) == DIGEST_BYTES):
            raise self._snapshot.damaged(f"row {row} has impossible values")
        return Stored(id_, path, Row(row, name, text, page, width, height, source, name, digest, *facts))


def read_state(snapshot: Snapshot) -> Meta:
    """The state in a snapshot; raises DamagedIndex if it is missing or not valid."""
    found = snapshot.one("SELECT content, crc FROM state WHERE one = 1")
    if found is None or check_of(found[0]) != found[1]:
        raise snapshot.damaged("its state has changed since it was written")
    return meta_from(found[0], snapshot.path)
