"""An index opened for reading: a snapshot of it."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openalign.errors import UsageError
from openalign.search.map.opened import OpenedMap, opened, split_regions
from openalign.search.query.conditions import Condition, parse_conditions
from openalign.search.query.remembered import RowsOfConditions
from openalign.search.rows import Row
from openalign.search.store.groups import Groups
from openalign.search.store.meta import placed
from openalign.search.store.nearest import Nearest
from openalign.search.store.opening import identity, open_files
from openalign.search.store.table import Stored
from openalign.search.store.texts import Texts
from openalign.search.store.vectors import Vectors16
from openalign.search.watched import DamagedIndex

EXACT_BELOW = 50_000
"""With fewer rows, every query is compared with every row (4 ms at 60,000 x 128 on one core)."""


class Store:
    """An index folder opened for reading; safe to use from many threads.

    It stays as it was when it was opened, whatever a writer does. Little is read on opening (the state, the check
    values of the vectors, the graph); everything else is compared with its check value when it is read.

    Raises:
        OpenAlignError: `folder` is not an index, or has another version.
        DamagedIndex: a file was changed after the index was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = files = open_files(folder)
        meta = files.table.meta
        self.meta, self._vectors, self._table = placed(meta, folder.resolve()), files.vectors, files.table
        self.models = list(dict.fromkeys([self.meta.model, meta.model]))
        """Where the model may be: beside the index, or where it was."""
        self._conditions = RowsOfConditions(meta.rows)
        graph_rows = meta.graph.rows if meta.graph else 0
        self._nearest = Nearest(files.vectors, files.graph, graph_rows, files.table.deleted)

    def close(self) -> None:
        """Close the files; the store cannot be used afterwards."""
        self._files.close()

    @property
    def name(self) -> str:
        """What messages call the index."""
        return str(self.folder)

    @property
    def title(self) -> str:
        """What the search page calls it."""
        return self.folder.resolve().name.removesuffix(".index")

    @property
    def is_current(self) -> bool:
        """Whether no run has ended since it was opened."""
        return identity(self.folder.resolve()) == self._files.identity

    def opened_again(self) -> "Store":
        """The index as it is now."""
        return Store(self.folder)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The rows of all images, sorted; those of removed images are missing."""
        return np.setdiff1d(np.arange(self.meta.rows), self._table.deleted, assume_unique=True)

    @property
    def vectors(self) -> Vectors16:
        """The vectors of all images, (images, D), in the order of `numbers`: in memory, or memory-mapped."""
        whole_ND = self._vectors.whole()
        return np.delete(whole_ND, self._table.deleted, axis=0) if len(self._table.deleted) else whole_ND

    @cached_property
    def map(self) -> OpenedMap | None:
        """The map of the images; None if there is none. Raises DamagedIndex if its file is not as it was written."""
        data = self.map_bytes()
        if data is None or self.meta.map is None:
            return None
        return opened(data, f"{self.meta.map.sha256[:16]}-{self.meta.commits}", *self._table.ids())

    def _required_map(self) -> OpenedMap:
        if self.map is None:
            raise UsageError(f"{self.folder} has no map: index again to make one, of 10 images or more.")
        return self.map

    def map_bytes(self) -> bytes | None:
        """What the file of the map holds; None without a map. Raises DamagedIndex if it is not as it was written."""
        if isinstance(self._files.map, DamagedIndex):
            raise self._files.map
        return None if self._files.map is None else self._files.map.read()

    def vector(self, number: int) -> Vectors16:
        """The vector (D,) of an existing row."""
        vector_D: Vectors16 = self._vectors.take(np.array([number]))[0]
        return vector_D

    def nearest(
        self, query_D: NDArray[np.float32], count: int, among: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` rows most similar to a unit vector (D,), best first, and their cosine similarities.

        With `among`, sorted row numbers (N,), only those are searched; always `count` of them, where there are.
        """
        return self._nearest.find(query_D, count, among)

    def matching(self, conditions: Sequence[str]) -> NDArray[np.int64]:
        """The rows of the images for which all conditions hold (see `query.conditions`), sorted.

        Raises:
            UsageError: a condition is malformed, or of a column that there is not.
        """
        found = self._conditions.get(conditions)
        if found is None:
            regions, others = split_regions(conditions)
            condition = parse_conditions(others, self.meta.columns)
            sets = [self._required_map().within(region) for region in regions]
            if others or not sets:
                sets.append(self._table.matching(condition))
            found = reduce(np.intersect1d, sets)
            self._conditions.put(conditions, found)
        return found

    def condition(self, conditions: Sequence[str]) -> Condition:
        """The condition on `images` that all of these hold; `region=...` are regions of the map (`OpenedMap.within`).

        Raises:
            UsageError: as `matching` does; also if there is no map.
        """
        regions, others = split_regions(conditions)
        condition = parse_conditions(others, self.meta.columns)
        for region in regions:
            rows = json.dumps(self._required_map().within(region).tolist())
            sql = f"{condition.sql} AND row IN (SELECT value FROM json_each(?))"
            condition = Condition(sql, (*condition.parameters, rows))
        return condition

    def spread(self, count: int) -> list[int]:
        """Up to `count` rows at even intervals."""
        return [int(number) for number in self.numbers[evenly_spaced(self.meta.images, count)]]

    @property
    def groups(self) -> Groups:
        """Which images are near-duplicates of each other."""
        return self._table.groups

    @property
    def texts(self) -> Texts:
        """The texts with vectors: none unless the index was built with them."""
        return self._table.texts

    def holds(self, number: int) -> bool:
        """Whether there is an image in this row."""
        return self._table.holds(number)

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers, in this order; raises OpenAlignError for one that does not exist."""
        return [self._shown(self._table.row(int(number))) for number in numbers]

    def scored(
        self, query_D: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Sorted row numbers (N,), best first, each compared with a unit vector (D,); and their cosine similarities."""
        return self._nearest.all_of(query_D, rows)

    def select(self, sql: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        """The answer of SQLite over the table `images` (see `store.database`); no check value is compared.

        Raises:
            DamagedIndex: SQLite cannot give it.
        """
        return self._table.select(sql, *parameters)

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row."""
        return self._table.thumbnail(number)

    def names(self, number: int) -> list[tuple[int, str, int, str | None]]:
        """Where the image of a row is: source, name there, which of several of that name, and the path of a file."""
        found = self._table.names(number)
        return [(source, name, copy, self._path(source, path)) for source, name, copy, path in found]

    def problems(self) -> list[str]:
        """One message for each image that was left out when the index was last written."""
        return self._table.problems()

    def check_thoroughly(self) -> None:
        """Read everything; raises DamagedIndex if any byte that counts is not as it was written."""
        self._table.check_thoroughly()
        self._vectors.check_thoroughly()
        self.map_bytes()

    def _shown(self, stored: Stored) -> Row:
        path = self._path(stored.row.source, stored.path)
        return stored.row if path is None else replace(stored.row, image=path)

    def _path(self, source: int, path: str | None) -> str | None:
        return None if path is None else os.path.normpath(Path(self.meta.sources[source]) / path)


def evenly_spaced(total: int, count: int) -> list[int]:
    """Up to `count` distinct numbers at even intervals in 0 .. total - 1."""
    return [int(row) for row in np.unique(np.linspace(0, total - 1, min(count, total)).round())] if total else []
