"""Queries that people keep: `saved.sqlite` in the index folder, which stays theirs when the index is built again."""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from openalign.errors import OpenAlignError, UsageError
from openalign.search.query.conditions import parse_conditions
from openalign.search.query.language import parse_query
from openalign.search.results.against import Against
from openalign.search.results.order import Sort
from openalign.search.store.any_store import Unavailable
from openalign.search.watched import DamagedIndex
from openalign.validation import requirement

FILE = "saved.sqlite"
MOST = 1000
"""Saved queries of an index."""
FULL = f"{MOST:,} queries are saved with this index, which is the most: remove some before you save others."
LONGEST = 10_000
"""Characters of a query with its conditions."""
_NAME = re.compile(r"[^\s/\\\x00-\x1f\x7f](?:[^/\\\x00-\x1f\x7f]{0,98}[^\s/\\\x00-\x1f\x7f])?")
_WAIT_S = 5.0
_SCHEMA = "CREATE TABLE saved (name TEXT PRIMARY KEY, content TEXT NOT NULL)"
_SAFELY = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
_TABLES = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"


@dataclass(frozen=True)
class SavedQuery:
    """A query with its conditions, and how it is answered: arguments of `Index.search`."""

    __pydantic_config__ = ConfigDict(strict=False, extra="forbid")

    query: str
    where: tuple[str, ...] = ()
    sort: Sort = "score"
    against: Against = "image"
    fold: bool = True


_READER = TypeAdapter(SavedQuery)


class SavedQueries:
    """The saved queries of an index folder; safe to use from many threads and processes.

    Raises:
        NoSuchQuery: there is no query of a name.
        DamagedIndex: the file is none that was written here.
        Unavailable: the file cannot be opened or written now.
    """

    def __init__(self, folder: Path, columns: Sequence[str] = ()) -> None:
        self._path = folder / FILE
        self._columns = columns

    def names(self) -> list[str]:
        """All names, in alphabetical order."""
        return list(self.all())

    def all(self) -> dict[str, SavedQuery]:
        """All saved queries by their names, in alphabetical order."""
        return self.after("", MOST)

    def after(self, name: str, count: int) -> dict[str, SavedQuery]:
        """The `count` saved queries that follow a name, in alphabetical order; those after "" are the first."""
        is_after = "name > ?1 COLLATE NOCASE OR (name = ?1 COLLATE NOCASE AND name > ?1)"
        sql = f"SELECT name, content FROM saved WHERE {is_after} ORDER BY name COLLATE NOCASE, name LIMIT ?2"
        return {found: self._read(found, content) for found, content in self._select(sql, name, count)}

    def count(self) -> int:
        """How many queries are saved."""
        return sum(number for (number,) in self._select("SELECT count(*) FROM saved"))

    @property
    def is_full(self) -> bool:
        """Whether a query of a new name would be refused."""
        return self.count() >= MOST

    def get(self, name: str) -> SavedQuery:
        """The query of this name."""
        written = name.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is in no name
        found = self._select("SELECT content FROM saved WHERE name = ?", written)
        if not found:
            near = get_close_matches(written, self.names(), 1)
            raise NoSuchQuery(f"No query is saved as {name!r}" + (f"; the nearest is {near[0]!r}." if near else "."))
        return self._read(name, found[0][0])

    def put(self, name: str, saved: SavedQuery) -> None:
        """Save a query, in place of one of this name.

        Raises:
            UsageError: the name or the query cannot be used.
        """
        check_name(name)
        characters = len(saved.query) + sum(map(len, saved.where))
        if characters > LONGEST:
            raise UsageError(f"Query and conditions have {characters:,} characters; the most is {LONGEST:,}.")
        if not parse_query(saved.query).terms:
            raise UsageError("The query is empty: give a text or an image to search for.")
        parse_conditions(saved.where, self._columns)
        with self._opened() as table:
            table.execute("BEGIN IMMEDIATE")
            if self._is_empty(table):
                table.execute(_SCHEMA)
            known = table.execute("SELECT 1 FROM saved WHERE name = ?", (name,)).fetchone()
            if not known and table.execute("SELECT count(*) FROM saved").fetchone()[0] >= MOST:
                table.execute("ROLLBACK")
                raise UsageError(FULL)
            content = json.dumps(asdict(saved), ensure_ascii=False)
            table.execute("INSERT OR REPLACE INTO saved VALUES (?, ?)", (name, content))
            table.execute("COMMIT")

    def remove(self, name: str) -> None:
        """Remove the query of this name."""
        self.get(name)
        with self._opened() as table:
            table.execute("DELETE FROM saved WHERE name = ?", (name,))

    def _read(self, name: object, content: str) -> SavedQuery:
        if not isinstance(name, str):
            raise self._damaged("a name is no text")
        try:
            return _READER.validate_json(content)
        except ValidationError as error:
            raise DamagedIndex(
                f"{self._path}: the query {name!r} is damaged ({requirement(error.errors()[0])}): save it again."
            ) from None

    def _select(self, sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with self._opened() as table:
            return [] if self._is_empty(table) else table.execute(sql, parameters).fetchall()

    def _is_empty(self, table: sqlite3.Connection) -> bool:
        """Whether nothing was ever saved, as after a kill before the first query was."""
        found = table.execute(_TABLES).fetchall()
        if found not in ([], [(_SCHEMA,)]):  # in a forged file, an endless view could take the name of the table
            raise self._damaged("its tables are not those of saved queries")
        return not found

    def _damaged(self, why: object) -> DamagedIndex:
        return DamagedIndex(f"{self._path} is damaged ({why}): remove it, and save your queries again.")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if self._path.exists() and not self._path.is_file():  # SQLite would wait for the writer of a pipe
            raise self._damaged("it is not a regular file")
        try:
            with closing(sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None)) as table:
                table.executescript(_SAFELY)
                yield table
        except (sqlite3.OperationalError, OSError) as error:
            raise Unavailable(f"{self._path} cannot be opened or written ({error}).") from None
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._damaged(error) from None


class NoSuchQuery(OpenAlignError):
    """No query of this name is saved."""


def check_name(name: str) -> None:
    """Raise UsageError unless a query can be saved under this name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError("The name of a saved query is not valid Unicode.") from None
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a saved query: take 1 to 100 characters without / and \\, not beginning "
            "or ending with a blank."
        )
