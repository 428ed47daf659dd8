"""The state of an index, which is changed together with its rows, in transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from openalign.search.store.checks import check_of
from openalign.search.store.database import ROWS, cannot_write, opened_for_writing
from openalign.search.store.meta import Meta, meta_from
from openalign.search.watched import ADVICE, DamagedIndex


class Transactions:
    """The table of the index in `folder`, and what it says of the whole index."""

    meta: Meta
    """As it is in the running transaction, or was at the end of the last one."""
    _stored: Meta

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._table = opened_for_writing(folder / ROWS)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is changed inside, `meta` too, is there as a whole or not at all."""
        before = self.meta
        with self.readable_errors():
            self._table.execute("BEGIN IMMEDIATE")
            try:
                self.meta = replace(self.meta, finished=False)
                yield
                self.meta = replace(self.meta, commits=self.meta.commits + 1)
                content = self.meta.as_json()
                self._table.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (content, check_of(content)))
                self._table.execute("COMMIT")
                self._stored = self.meta
            except BaseException:
                self.meta = before
                with suppress(sqlite3.Error):  # SQLite has rolled back already, for some errors
                    self._table.execute("ROLLBACK")
                raise

    def _read_state(self) -> Meta:
        with self.readable_errors():
            found = self._table.execute("SELECT content, crc FROM state WHERE one = 1").fetchone()
        if found is None or check_of(found[0]) != found[1]:
            raise DamagedIndex(f"{self.folder / ROWS} has lost its state: {ADVICE}")
        return meta_from(found[0], self.folder / ROWS)

    @contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Turn the exceptions of SQLite and usearch, raised for a full disk or a damaged file, into OpenAlignError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise cannot_write(self.folder, error) from None
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise DamagedIndex(f"{self.folder / ROWS} cannot be read ({error}): {ADVICE}") from None
        except RuntimeError as error:
            raise cannot_write(self.folder, error) from None
