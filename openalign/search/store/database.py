"""`rows.sqlite` of an index: its tables, and connections for a reader and for the writer.

Nothing else in a process may open the file while a connection is open: closing a descriptor releases all locks that
the process holds on the file (POSIX), those of SQLite as well.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from openalign.errors import OpenAlignError
from openalign.search.query.matching import add_functions
from openalign.search.watched import ADVICE, DamagedIndex

ROWS = "rows.sqlite"
SCHEMA = """
CREATE TABLE state (one INTEGER PRIMARY KEY, content TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, row INTEGER NOT NULL, image TEXT NOT NULL, path TEXT, text TEXT, page TEXT,
    width INTEGER NOT NULL, height INTEGER NOT NULL, source INTEGER NOT NULL, digest BLOB NOT NULL, date TEXT,
    latitude REAL, longitude REAL, folder TEXT, bytes INTEGER NOT NULL, label TEXT, fields TEXT, crc INTEGER NOT NULL
);
CREATE UNIQUE INDEX images_by_row ON images (row);
CREATE UNIQUE INDEX images_by_digest ON images (digest);
CREATE TABLE thumbnails (id INTEGER PRIMARY KEY, jpeg BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL, copy INTEGER NOT NULL, stamp TEXT NOT NULL,
    path TEXT, text TEXT, page TEXT, label TEXT, fields TEXT, image INTEGER NOT NULL, crc INTEGER NOT NULL
);
CREATE UNIQUE INDEX files_by_name ON files (source, name, copy);
CREATE INDEX files_by_image ON files (image);
CREATE TABLE deleted (row INTEGER PRIMARY KEY);
CREATE TABLE blocks (block INTEGER PRIMARY KEY, crc INTEGER NOT NULL);
CREATE TABLE sketches (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, grey BLOB NOT NULL);
CREATE TABLE alike (id INTEGER PRIMARY KEY, leader INTEGER NOT NULL);
CREATE INDEX alike_by_leader ON alike (leader);
CREATE TABLE texts (
    number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, vector BLOB NOT NULL, crc INTEGER NOT NULL
);
CREATE TABLE problems (number INTEGER PRIMARY KEY, message TEXT NOT NULL);
"""
STOP: ContextVar[Callable[[], bool] | None] = ContextVar("STOP", default=None)
"""Asked now and then while SQLite looks for an answer in this context; if it returns True, the reading ends."""
_ASKED_EVERY = 20_000
"""Instructions of SQLite's virtual machine: a few for each row, a fraction of a millisecond in all."""
_ROWS_AT_ONCE = 1000
_SAFELY = """
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA mmap_size = 0;
"""
_TABLES = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
_WAIT_S = 20.0
"""How long to wait for another connection that recovers or closes the file; longer waits do not happen."""


class Stopped(OpenAlignError):
    """What was asked of an index was stopped (`STOP`) before it was answered."""


class Snapshot:
    """The tables as they are now, whatever a writer does meanwhile; safe to use from many threads.

    One thread reads at a time. SQLite's own lock would not do: a thread that holds it and calls a function of Python's
    waits for the interpreter, which another one may hold while it waits for SQLite.

    Raises:
        DamagedIndex: it is no SQLite file, or its tables are not those of an index.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._one_at_a_time = Lock()
        self._table = _opened(path, immutable=False)
        try:
            self._begin()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self._table.close()
            # On a medium that cannot be written, no file for locks can be made; nobody can write the index either.
            if _has_content(path.with_name(f"{ROWS}-wal")):
                raise self.damaged(str(error)) from None
            self._table = _opened(path, immutable=True)
            with self._closed_on_error():
                self._begin()
        with self._closed_on_error():
            self._check_tables()

    def one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """The first row of an answer; raises DamagedIndex if SQLite cannot give it."""
        with self._readable_errors(), self._one_at_a_time:
            found: tuple[Any, ...] | None = self._table.execute(sql, parameters).fetchone()
        return found

    def all(self, sql: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        """All rows of an answer; raises DamagedIndex if SQLite cannot give one, Stopped if `STOP` ends it."""
        with self._readable_errors():
            with self._one_at_a_time:
                cursor = self._table.execute(sql, parameters)
                some = cursor.fetchmany(_ROWS_AT_ONCE)
            while some:
                yield from some
                with self._one_at_a_time:
                    some = cursor.fetchmany(_ROWS_AT_ONCE)

    def damaged(self, why: str) -> DamagedIndex:
        """The error for a file in which something is wrong."""
        return DamagedIndex(f"{self.path} cannot be read ({why}): {ADVICE}")

    def close(self) -> None:
        """Let go of the snapshot."""
        self._table.close()

    def _begin(self) -> None:
        self._table.executescript(_SAFELY + "PRAGMA query_only = ON;")
        add_functions(self._table)
        self._table.set_progress_handler(_is_stopped, _ASKED_EVERY)
        self._table.execute("BEGIN")
        self._table.execute("SELECT count(*) FROM sqlite_master").fetchone()  # this is what takes the snapshot

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter for names in a damaged schema
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise Stopped(f"A question to {self.path} was stopped.") from None
            raise self.damaged(str(error)) from None

    def _check_tables(self) -> None:
        # In a forged file, a view with an endless query could take the name of a table.
        if list(self.all(_TABLES)) != expected_tables():
            raise self.damaged("its tables are not those of an index")
        # Pages beyond the end may be in the log of a writer.
        size = self.one("PRAGMA page_size")
        if not _has_content(self.path.with_name(f"{ROWS}-wal")) and self.path.stat().st_size % (size or (1,))[0]:
            raise self.damaged("it is truncated")

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._table.close()
            if isinstance(error, sqlite3.Error | UnicodeDecodeError):
                raise self.damaged(str(error)) from None
            raise


def opened_for_writing(path: Path) -> sqlite3.Connection:
    """The connection of the only writer, which may be used from many threads.

    Raises:
        DamagedIndex: it is no SQLite file, or its tables are not those of an index.
    """
    is_new = not path.exists()
    table = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_WAIT_S)
    try:
        table.executescript(_SAFELY + "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        if is_new:
            table.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        if table.execute(_TABLES).fetchall() != expected_tables():
            raise DamagedIndex(f"{path} cannot be read (its tables are not those of an index): {ADVICE}")
    except BaseException as error:
        table.close()
        if isinstance(error, sqlite3.OperationalError) and (is_new or not _may_write(path.parent)):
            raise cannot_write(path.parent, error) from None
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise DamagedIndex(f"{path} cannot be read ({error}): {ADVICE}") from None
        raise
    return table


def cannot_write(folder: Path, error: Exception) -> OpenAlignError:
    """The error for a disk that is full or read-only, or a library that cannot write for another reason."""
    if not _may_write(folder):
        return OpenAlignError(f"{folder} cannot be written: it, or its disk, is read-only for this user.")
    return OpenAlignError(f"{folder} cannot be written ({error}): make room, and give the same command again.")


def _may_write(folder: Path) -> bool:
    return all(os.access(path, os.W_OK) for path in (folder, folder / ROWS) if path.exists())


def expected_tables() -> list[Any]:
    """What `sqlite_master` of an index holds."""
    with closing(sqlite3.connect(":memory:")) as table:
        table.executescript(SCHEMA)
        return table.execute(_TABLES).fetchall()


def _opened(path: Path, *, immutable: bool) -> sqlite3.Connection:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DamagedIndex(f"{path} is not a regular file: {ADVICE}")
        how = "mode=ro&immutable=1" if immutable else "mode=rw"
        return sqlite3.connect(
            f"file:{quote(str(path))}?{how}", uri=True, check_same_thread=False, isolation_level=None, timeout=_WAIT_S
        )
    except (OSError, sqlite3.Error) as error:
        raise DamagedIndex(f"{path} cannot be read ({error}): {ADVICE}") from None


def _is_stopped() -> bool:
    """Called in the thread that reads: a connection is shared by threads, each with a context of its own."""
    stop = STOP.get()
    return stop is not None and stop()


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
