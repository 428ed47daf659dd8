"""An index opened for reading: a snapshot of it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openalign.checksums import Checksum, checksum_of
from openalign.errors import OpenAlignError, UsageError
from openalign.files import recover_folder
from openalign.search.graph import Graph
from openalign.search.map.opened import OpenedMap, opened, split_regions
from openalign.search.query.conditions import Condition, parse_conditions
from openalign.search.query.remembered import RowsOfConditions
from openalign.search.rows import Row
from openalign.search.store.database import ROWS, Snapshot
from openalign.search.store.groups import Groups
from openalign.search.store.map_file import OpenedMapFile
from openalign.search.store.meta import META, Meta, placed, read_commits
from openalign.search.store.nearest import Nearest
from openalign.search.store.table import RowTable, Stored
from openalign.search.store.texts import Texts
from openalign.search.store.vectors import Vectors, Vectors16
from openalign.search.watched import ADVICE, DamagedIndex, GrowingFile, WatchedFile

EXACT_BELOW = 50_000
"""With fewer rows, every query is compared with every row (4 ms at 60,000 x 128 on one core)."""
_IN_MEMORY = 2**31
"""Largest vectors in bytes that are read into memory, of the rows that no graph covers."""
_OPENINGS = 5
"""Most attempts to open an index that is replaced or compacted while it is being opened."""


class DamagedGraph(DamagedIndex):
    """The graph of an index is damaged, which can be made again from the vectors."""


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
        for left in reversed(range(_OPENINGS)):
            recover_folder(folder)
            before = _identity(folder)
            try:
                self._open()
            except OpenAlignError:
                if not left or _identity(folder) == before:
                    raise
            else:
                if not left or _identity(folder)[0] == before[0]:
                    break
                self.close()  # the folder was replaced meanwhile, so the opened files may belong to two indexes

    def _open(self) -> None:
        folder = self.folder.resolve()
        copied = _identity(folder)
        commits = read_commits(folder)
        with ExitStack() as opened:
            snapshot = Snapshot(folder / ROWS)
            opened.callback(snapshot.close)
            table = RowTable(snapshot)
            meta = table.meta
            if meta.commits < commits:
                raise snapshot.damaged("its last changes are lost")
            file = GrowingFile(folder / meta.vectors_file)
            opened.callback(file.close)
            graph_rows = meta.graph.rows if meta.graph else 0
            fits = 2 * meta.width * (meta.rows - graph_rows) <= _IN_MEMORY
            vectors = Vectors(file, meta.rows, meta.width, table.blocks(), graph_rows if fits else meta.rows)
            graph = self._open_graph(folder, meta, opened)
            self._map = self._open_map(folder, meta, opened)
            self._closing = opened.pop_all()
        self.meta, self._vectors, self._table, self._opened_copy = placed(meta, folder), vectors, table, copied
        self.models = list(dict.fromkeys([self.meta.model, meta.model]))
        """Where the model may be: beside the index, or where it was."""
        self._conditions = RowsOfConditions(meta.rows)
        self._nearest = Nearest(vectors, graph, graph_rows, table.deleted)

    def _open_graph(self, folder: Path, meta: Meta, opened: ExitStack) -> Graph | None:
        if meta.graph is None or meta.graph_file is None:
            return None
        path = folder / meta.graph_file
        try:
            file = WatchedFile(path)
            opened.callback(file.close)
            if file.size != meta.graph.bytes or checksum_of(path) != Checksum(meta.graph.bytes, meta.graph.sha256):
                raise DamagedIndex(f"{path} has changed since it was written (its checksum differs)")
            return Graph(file, meta.graph.rows, meta.width)
        except DamagedIndex as error:
            told = str(error).removesuffix(f": {ADVICE}")
            raise DamagedGraph(f"{told}: index again, which makes the graph again") from None

    def _open_map(self, folder: Path, meta: Meta, opened: ExitStack) -> OpenedMapFile | DamagedIndex | None:
        """Searches need no map, so that a damaged one only fails where it is asked for."""
        if meta.map is None:
            return None
        try:
            file = OpenedMapFile(folder / str(meta.map_file), meta.map)
        except DamagedIndex as error:
            return error
        opened.callback(file.close)
        return file

    def close(self) -> None:
        """Close the files; the store cannot be used afterwards."""
        self._closing.close()

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
        return _identity(self.folder.resolve()) == self._opened_copy

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
        if isinstance(self._map, DamagedIndex):
            raise self._map
        return None if self._map is None else self._map.read()

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


def _identity(folder: Path) -> tuple[int | None, object]:
    """The inode of the folder, which changes when it is replaced, and what changes when a run into it ends."""
    try:
        copy = (folder / META).stat()
        return folder.stat().st_ino, (copy.st_ino, copy.st_mtime_ns)
    except OSError:
        return (folder.stat().st_ino if folder.exists() else None), None


def evenly_spaced(total: int, count: int) -> list[int]:
    """Up to `count` distinct numbers at even intervals in 0 .. total - 1."""
    return [int(row) for row in np.unique(np.linspace(0, total - 1, min(count, total)).round())] if total else []
