"""How the writer changes the tables `sketches` and `alike`; each call belongs to a transaction of its own.

`sketches` has a perceptual hash and 8 x 8 grey levels of each image that shows anything, and `alike` each image that
has near-duplicates, with the image (its leader) that stands for all of them. Both follow from the thumbnails.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from openalign.search.store.changes import Sketch
from openalign.search.store.checks import check_of_groups

LEADERS = "SELECT id, leader FROM alike ORDER BY id"
_USABLE = "typeof(hash) = 'integer' AND typeof(grey) = 'blob' AND length(grey) = 64 AND id IN (SELECT id FROM images)"
"""A sketch that is damaged may miss a near-duplicate; it confirms none, which thumbnails do."""


class AlikeWriter:
    """Changes which images are near-duplicates of each other."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def put_sketch(self, image: int, sketch: Sketch | None) -> None:
        """Note the sketch of a new image."""
        if sketch is not None:
            self._table.execute("INSERT OR REPLACE INTO sketches VALUES (?, ?, ?)", (image, *sketch))

    def hashes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids (N,), sorted, and the hashes (N,) of all images that have one."""
        sql = f"SELECT id, hash FROM sketches WHERE {_USABLE} ORDER BY id"
        found = np.fromiter(chain.from_iterable(self._table.execute(sql)), np.int64).reshape(-1, 2)
        return found[:, 0].copy(), found[:, 1].copy()

    def grey(self, image: int) -> bytes:
        """The grey levels of an image that has a hash."""
        found: bytes = self._table.execute("SELECT grey FROM sketches WHERE id = ?", (image,)).fetchone()[0]
        return found

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Put each image (the first) into the group of an earlier one."""
        for image, earlier in pairs:
            found = self._table.execute("SELECT leader FROM alike WHERE id = ?", (earlier,)).fetchone()
            leader = found[0] if found else earlier
            self._table.executemany("INSERT OR REPLACE INTO alike VALUES (?, ?)", [(leader, leader), (image, leader)])

    def remove(self, images: Sequence[int]) -> None:
        """Forget images that are removed; another image leads what is left of their groups, a single one is none."""
        ids = [(each,) for each in images]
        self._table.executemany("DELETE FROM sketches WHERE id = ?", ids)
        leaders = {
            leader
            for each in ids
            for (leader,) in self._table.execute("SELECT leader FROM alike WHERE id = ?", each).fetchall()
        }
        self._table.executemany("DELETE FROM alike WHERE id = ?", ids)
        for leader in sorted(leaders):
            left = self._table.execute("SELECT id FROM alike WHERE leader = ? ORDER BY id", (leader,)).fetchall()
            if len(left) == 1:
                self._table.execute("DELETE FROM alike WHERE id = ?", left[0])
            elif left:
                self._table.execute("UPDATE alike SET leader = ? WHERE leader = ?", (left[0][0], leader))

    def last(self) -> int:
        """The largest id of an image, 0 if there is none. A new image gets a larger one."""
        found = self._table.execute("SELECT max(id) FROM images").fetchone()
        return found[0] or 0

    def clear(self) -> None:
        """Forget all groups, to make them anew."""
        self._table.execute("DELETE FROM alike")

    def check(self) -> int:
        """The check value of the groups."""
        return check_of_groups(self._table.execute(LEADERS).fetchall())
