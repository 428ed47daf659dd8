"""`rows.sqlite` of an index: the metadata and the thumbnail of each image."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from openalign.errors import OpenAlignError
from openalign.search.watched import ADVICE, DamagedIndex, WatchedFile

SCHEMA = """
CREATE TABLE images (
    row INTEGER PRIMARY KEY, image TEXT NOT NULL, text TEXT, page TEXT, width INTEGER NOT NULL, height INTEGER NOT NULL,
    source INTEGER NOT NULL, source_row INTEGER NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX images_by_digest ON images (digest);
CREATE TABLE thumbnails (row INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
"""
DIGEST_BYTES = 16

_READING = """
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA mmap_size = 0;
"""
_TYPES = (int, str, str | None, str | None, int, int, int, int, bytes)
_SIZE = "SELECT page_size * page_count FROM pragma_page_size, pragma_page_count"
_TABLES = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
_ENDS = """
SELECT (SELECT min(row) FROM images), (SELECT max(row) FROM images),
       (SELECT min(row) FROM thumbnails), (SELECT max(row) FROM thumbnails)
"""


@dataclass(frozen=True)
class Row:
    """One indexed image."""

    row: int
    image: str
    """Path or URL, as in its source."""
    text: str | None
    """All of its texts, one a line (see `joined`)."""
    page: str | None
    width: int
    """Pixels, as shown (after EXIF orientation); so is `height`."""
    height: int
    source: int
    """Index into `Meta.sources`; `source_row` is the row there."""
    source_row: int
    digest: bytes
    """BLAKE2b (16 bytes) of the image file."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the image, in the order of its source."""
        return tuple((self.text or "").split("\n")) if self.text else ()


def joined(texts: Iterable[str | None]) -> str | None:
    """Distinct texts as `Row.text` holds them; None if there is none."""
    lines = dict.fromkeys(" ".join(text.split()) for text in texts if text)
    return "\n".join(line for line in lines if line) or None


class RowTable:
    """`rows.sqlite` opened for reading; safe to use from many threads. Every value read is checked.

    Raises:
        DamagedIndex: its tables are not those of an index, or its rows are not 0 to `rows` - 1.
    """

    def __init__(self, file: WatchedFile, rows: int, sources: int) -> None:
        self._file = file
        self._rows = rows
        self._sources = sources
        try:
            # immutable: a finished index is never written to, so no locks are needed. SQLite serialises threads itself.
            self._table = sqlite3.connect(
                f"file:{quote(str(file.path))}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from None
        try:
            self._check_tables()
        except BaseException:
            self._table.close()
            raise

    def row(self, number: int) -> Row:
        """The row of this number; raises OpenAlignError if there is none."""
        return self._row_of(self._one("SELECT * FROM images WHERE row = ?", self._within(number)), number)

    def row_of(self, digest: bytes) -> Row | None:
        """A row whose image file has this digest."""
        found = self._one("SELECT * FROM images WHERE digest = ? LIMIT 1", digest)
        return self._row_of(found) if found else None

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row; raises OpenAlignError if there is no such row."""
        found = self._one("SELECT jpeg FROM thumbnails WHERE row = ?", self._within(number))
        if found is None or not isinstance(found[0], bytes):
            raise self._damaged(f"row {number} has no thumbnail")
        return found[0]

    def check_thoroughly(self) -> None:
        """Raise DamagedIndex unless SQLite finds every page and every row in order; this reads the whole file."""
        if self._one("PRAGMA quick_check(1)") != ("ok",):
            raise self._damaged("SQLite's quick_check fails")
        if self._one("SELECT (SELECT count(*) FROM images), (SELECT count(*) FROM thumbnails)") != (self._rows,) * 2:
            raise self._damaged("rows are missing")

    def close(self) -> None:
        """Close the table."""
        self._table.close()

    def _check_tables(self) -> None:
        try:
            self._table.executescript(_READING)
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from None
        # In a forged file, a view with an endless query could take the name of a table.
        if self._sql() != _expected_sql():
            raise self._damaged("its tables are not those of an index")
        if self._one(_SIZE) != (self._file.size,):
            raise self._damaged("it is truncated")
        ends = (0, self._rows - 1) if self._rows else (None, None)
        if self._one(_ENDS) != ends * 2:
            raise self._damaged(f"its rows are not 0 to {self._rows - 1}")

    def _sql(self) -> list[Any]:
        try:
            return self._table.execute(_TABLES).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from None

    def _one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        try:
            found: tuple[Any, ...] | None = self._table.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from None
        finally:
            self._file.check()  # after reading: "the file was changed" explains more than SQLite's error does
        return found

    def _within(self, number: int) -> int:
        if not 0 <= number < self._rows:
            raise OpenAlignError(f"row {number} is not in {self._file.path.parent}: it has rows 0 to {self._rows - 1}.")
        return number

    def _row_of(self, values: tuple[Any, ...] | None, number: int | None = None) -> Row:
        if values is None or not all(isinstance(value, kind) for value, kind in zip(values, _TYPES, strict=True)):
            raise self._damaged(f"row {number} is missing or has values of a wrong type")
        row = Row(*values)
        right = row.row == number if number is not None else 0 <= row.row < self._rows
        sizes = min(row.width, row.height, row.source_row) >= 0
        if not (right and sizes and 0 <= row.source < self._sources and len(row.digest) == DIGEST_BYTES):
            raise self._damaged(f"row {row.row} has impossible values")
        return row

    def _damaged(self, why: str) -> DamagedIndex:
        return DamagedIndex(f"{self._file.path} cannot be read ({why}): {ADVICE}")


def _expected_sql() -> list[Any]:
    table = sqlite3.connect(":memory:")
    try:
        table.executescript(SCHEMA)
        return table.execute(_TABLES).fetchall()
    finally:
        table.close()
