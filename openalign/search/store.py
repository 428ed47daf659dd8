"""The index on disk: a folder with vectors, a table of rows, and the model that made them.

    vectors.f16     (rows, width) float16, row-major, no header
    graph.usearch   an int8 HNSW graph over the same rows, from EXACT_BELOW rows on
    rows.sqlite     tables `images` and `thumbnails` (small JPEGs), one row an image
    problems.txt    one line for each image that was left out
    meta.json       the model that made it, and its sources
    checksums.json  size and SHA-256 of each file, checked when the index is opened

Row r of the vectors is row r of both tables. A folder is never changed in place: a new one is written and renamed, so
a running service keeps reading the one it opened.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import usearch.index
from numpy.typing import NDArray
from usearch.compiled import MetricKind

from openalign.checksums import CHECKSUMS, check_files, read_checksums
from openalign.errors import OpenAlignError
from openalign.files import recover_folder
from openalign.progress import say
from openalign.search.graph import Graph
from openalign.search.meta import read_meta
from openalign.search.query.compose import unit
from openalign.search.rows import Row, RowTable
from openalign.search.vectors import Vectors, Vectors16
from openalign.search.watched import ADVICE, DamagedIndex, WatchedFile

FILES = ("meta.json", "vectors.f16", "rows.sqlite", "problems.txt")
GRAPH = "graph.usearch"
EXACT_BELOW = 50_000
"""With fewer rows, every query is compared with every row (4 ms at 60,000 x 128 on one core)."""
_FIRST_CANDIDATES = 64
"""Fewest candidates taken from the graph; they are then scored exactly."""
_IN_MEMORY = 2**31
"""Largest vectors in bytes that are read into memory, where there is no graph."""
_OPENINGS = 5
"""Most attempts to open an index that is replaced while it is being opened."""


class Store:
    """An index folder opened for reading; safe to use from many threads.

    Every file is checked before it is used. An index without `checksums.json` (older versions wrote none) is searched
    without its graph, since only a checksum can show that a graph is undamaged.

    Raises:
        OpenAlignError: `folder` is not an index, or has another version.
        DamagedIndex: a file was changed after the index was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for left in reversed(range(_OPENINGS)):
            recover_folder(folder)
            inode = _inode(folder)
            try:
                self._open()
            except OpenAlignError:
                if not left or _inode(folder) == inode:
                    raise
            else:
                if not left or _inode(folder) == inode:
                    return
                self.close()  # the folder was replaced meanwhile, so the opened files may belong to two indexes

    def _open(self) -> None:
        meta = read_meta(self.folder)
        known = read_checksums(self.folder)
        names = _names_of(self.folder, known)
        with ExitStack() as opened:
            files = {name: WatchedFile(self.folder / name) for name in names}
            for file in files.values():
                opened.callback(file.close)
            check_files(self.folder, names, ADVICE)
            in_memory = GRAPH not in names and files["vectors.f16"].size <= _IN_MEMORY
            vectors = Vectors(files["vectors.f16"], meta.rows, meta.width, in_memory=in_memory)
            table = RowTable(files["rows.sqlite"], meta.rows, len(meta.sources))
            opened.callback(table.close)
            if known is None:
                vectors.check_finite()
                table.check_thoroughly()
            self._graph = Graph(files[GRAPH], meta.rows, meta.width) if GRAPH in names else None
            self._closing = opened.pop_all()
        self.meta, self._vectors, self._table, self._problems = meta, vectors, table, files["problems.txt"]
        self.checked = known is not None
        """Whether every file has a checksum."""

    def close(self) -> None:
        """Close the files; the store cannot be used afterwards."""
        self._closing.close()

    @property
    def vectors(self) -> Vectors16:
        """All vectors, (rows, D): in memory, or memory-mapped where there is a graph."""
        return self._vectors.whole()

    def vector(self, number: int) -> Vectors16:
        """The vector (D,) of an existing row."""
        vector_D: Vectors16 = self._vectors.take(np.array([number]))[0]
        return vector_D

    def nearest(self, query_D: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` rows most similar to a unit vector (D,), best first, and their cosine similarities."""
        count = min(count, self.meta.rows)
        if self._graph is None:
            rows = self._compared_with_all(query_D, count)
        else:
            rows = self._graph.candidates(query_D, min(max(4 * count, _FIRST_CANDIDATES), self.meta.rows))
        rows = np.sort(rows)
        # float16 is unit length only to 3 digits
        scores: NDArray[np.float32] = unit(self._vectors.take(rows).astype(np.float32)) @ query_D
        best = np.argsort(-scores, kind="stable")[:count]
        return rows[best], scores[best]

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers, in this order; raises OpenAlignError for one that does not exist."""
        return [self._table.row(int(number)) for number in numbers]

    def row_of(self, digest: bytes) -> Row | None:
        """A row whose image file has this digest."""
        return self._table.row_of(digest)

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row."""
        return self._table.thumbnail(number)

    def problems(self) -> list[str]:
        """One message for each image that was left out when the index was built."""
        return self._problems.read(0, self._problems.size).decode(errors="replace").splitlines()

    def _compared_with_all(self, query_D: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The `count` rows most similar to the query in each block of vectors."""
        found = []
        for start, block_ND in self._vectors.blocks():
            query = query_D.astype(np.float16)
            matches = usearch.index.search(block_ND, query, min(count, len(block_ND)), MetricKind.Cos, exact=True)
            found.append(start + np.asarray(matches.keys, dtype=np.int64))
        return np.concatenate(found) if found else np.empty(0, np.int64)


def _names_of(folder: Path, known: Mapping[str, object] | None) -> list[str]:
    """The files of an index, by its checksums; raises DamagedIndex if these do not list one."""
    if known is None:
        if (folder / GRAPH).exists():
            say(
                f"{folder} has no {CHECKSUMS}, so its graph is not used: every query is compared with all images. "
                "Build the index again for a graph."
            )
        return list(FILES)
    for name in FILES:
        if name not in known:
            raise DamagedIndex(f"{folder / CHECKSUMS} does not list {name}: {ADVICE}")
    return [*FILES, GRAPH] if GRAPH in known else list(FILES)


def _inode(folder: Path) -> int | None:
    """The inode: it changes when the folder is replaced."""
    return folder.stat().st_ino if folder.exists() else None


def evenly_spaced(total: int, count: int) -> list[int]:
    """Up to `count` distinct numbers at even intervals in 0 .. total - 1."""
    return [int(row) for row in np.unique(np.linspace(0, total - 1, min(count, total)).round())] if total else []
