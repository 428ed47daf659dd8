"""The index on disk: a folder of vectors, a table of rows and who made them.

    vectors.f16     (rows, width) float16, row after row: any tool can map it
    graph.usearch   an int8 HNSW graph over the same rows, from EXACT_BELOW rows on
    rows.sqlite     `images` (one row an image) and `thumbnails` (small JPEGs)
    problems.txt    one sentence an image that was left out
    meta.json       the model that made it, and what was indexed; written last

Row r of the vectors is row r of both tables. A folder is never changed in place: it is written anew and renamed,
so a running service keeps reading the one it opened.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import usearch.index
from numpy.typing import NDArray
from usearch.compiled import MetricKind

from openalign.errors import OpenAlignError
from openalign.search.query import unit

VERSION = 1
EXACT_BELOW = 50_000
"""Below this many rows every query is compared with every row (4 ms at 60,000 x 128 on one core)."""
_GRAPH_CHUNK = 10_000
_FIRST_CANDIDATES = 64
"""The graph gives at least this many candidates, which are then scored exactly."""

_EXPANSION = 256
"""How many nodes of the graph a search keeps in view; more finds more and takes longer."""

_SCHEMA = """
CREATE TABLE images (
    row INTEGER PRIMARY KEY, image TEXT NOT NULL, text TEXT, page TEXT, width INTEGER NOT NULL, height INTEGER NOT NULL,
    source INTEGER NOT NULL, source_row INTEGER NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX images_by_digest ON images (digest);
CREATE TABLE thumbnails (row INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Meta:
    """What `meta.json` holds."""

    rows: int
    width: int
    model: str
    """Folder or hub name to load the model from."""
    model_name: str
    fingerprint: str
    """Of the model's weights and configuration, in hexadecimal."""
    sources: list[str]
    version: int = VERSION


@dataclass(frozen=True)
class Row:
    """One indexed image."""

    row: int
    image: str
    """Path or URL as its source names it."""
    text: str | None
    page: str | None
    width: int
    """Pixels, as shown (after EXIF orientation); so is `height`."""
    height: int
    source: int
    """Which of `Meta.sources` it came from, and at which row of it."""
    source_row: int
    digest: bytes
    """BLAKE2b (16 bytes) of the image file."""


def read_meta(folder: Path) -> Meta:
    """`meta.json` of an index; raises OpenAlignError when `folder` is no index or one of another version."""
    path = folder / "meta.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.get("version") != VERSION:
            raise OpenAlignError(
                f"{folder} has index version {fields.get('version')}, this openalign reads {VERSION}; "
                "build the index again."
            )
        return Meta(**fields)
    except (FileNotFoundError, NotADirectoryError):
        raise OpenAlignError(
            f"{folder} is not an index; make one with `openalign index PATH --model MODEL --to {folder}`."
        ) from None
    except (OSError, ValueError, AttributeError, TypeError):
        raise OpenAlignError(f"{path} is damaged; build the index again.") from None


class Store:
    """An index folder opened for reading; safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta = read_meta(folder)
        shape = (self.meta.rows, self.meta.width)
        try:
            self.vectors: NDArray[np.float16] = np.memmap(folder / "vectors.f16", np.float16, "r", shape=shape)
            self._rows = sqlite3.connect(  # immutable: see the module's docstring; SQLite itself serialises threads
                f"file:{quote(str(folder / 'rows.sqlite'))}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._graph = _open_graph(folder / "graph.usearch")
        except (OSError, ValueError, RuntimeError, sqlite3.Error) as error:
            raise OpenAlignError(f"{folder} is damaged ({error}); build the index again.") from None

    def nearest(self, query_D: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` rows most similar to a unit vector (D,), best first, and their cosine similarities."""
        count = min(count, self.meta.rows)
        if self._graph is None:
            found = usearch.index.search(self.vectors, query_D.astype(np.float16), count, MetricKind.Cos, exact=True)
        else:
            candidates = min(max(4 * count, _FIRST_CANDIDATES), self.meta.rows)
            found = self._graph.search(query_D, candidates)
        rows = np.sort(np.asarray(found.keys, dtype=np.int64))
        scores = unit(self.vectors[rows].astype(np.float32)) @ query_D  # float16 is unit length only to 3 digits
        best = np.argsort(-scores, kind="stable")[:count]
        return rows[best], scores[best]

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """The rows of these numbers, in their order; raises OpenAlignError naming one that does not exist."""
        return [self._row(int(number)) for number in numbers]

    def _row(self, number: int) -> Row:
        found = self._rows.execute("SELECT * FROM images WHERE row = ?", (number,)).fetchone()
        if found is None:
            raise OpenAlignError(f"row {number} is not in {self.folder}: it has rows 0 to {self.meta.rows - 1}.")
        return Row(*found)

    def row_of(self, digest: bytes) -> Row | None:
        """A row with this image file, by the digest of its bytes."""
        found = self._rows.execute("SELECT * FROM images WHERE digest = ? LIMIT 1", (digest,)).fetchone()
        return Row(*found) if found else None

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row."""
        found = self._rows.execute("SELECT jpeg FROM thumbnails WHERE row = ?", (number,)).fetchone()
        if found is None:
            raise OpenAlignError(f"row {number} is not in {self.folder}: it has rows 0 to {self.meta.rows - 1}.")
        return bytes(found[0])

    def problems(self) -> list[str]:
        """One sentence for each image that was left out when the index was built."""
        return (self.folder / "problems.txt").read_text(encoding="utf-8").splitlines()


def _open_graph(path: Path) -> usearch.index.Index | None:
    if not path.exists():
        return None
    graph = usearch.index.Index.restore(path, view=True, expansion_search=_EXPANSION)
    if graph is None:
        raise OSError(f"{path.name} is no graph")
    return graph


def spread(total: int, count: int) -> list[int]:
    """Up to `count` distinct places evenly spread over 0 .. total - 1."""
    return [int(place) for place in np.unique(np.linspace(0, total - 1, min(count, total)).round())] if total else []


class StoreWriter:
    """Writes an index folder row by row, out of core; `finish` makes it whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = 0
        self._vectors = (folder / "vectors.f16").open("wb")
        self._table = sqlite3.connect(folder / "rows.sqlite")
        self._table.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)

    def add(self, rows: Iterable[Row], thumbnails: Iterable[bytes], vectors_ND: NDArray[np.floating]) -> None:
        """Append N rows, and number them on from the last ones."""
        self._vectors.write(vectors_ND.astype(np.float16).tobytes())
        for row, jpeg in zip(rows, thumbnails, strict=True):
            values = (self.rows, *astuple(row)[1:])
            self._table.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            self._table.execute("INSERT INTO thumbnails VALUES (?, ?)", (self.rows, jpeg))
            self.rows += 1

    def finish(self, meta: Meta, problems: list[str]) -> None:
        """Write what is still in memory, the graph if there are many rows, and last `meta.json`."""
        self._vectors.flush()
        self._table.commit()
        (self.folder / "problems.txt").write_text("".join(f"{line}\n" for line in problems), encoding="utf-8")
        if meta.rows >= EXACT_BELOW:
            _build_graph(self.folder, (meta.rows, meta.width))
        (self.folder / "meta.json").write_text(json.dumps(asdict(meta), indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Close the files, finished or not."""
        self._vectors.close()
        self._table.close()


def _build_graph(folder: Path, shape: tuple[int, int]) -> None:
    vectors: NDArray[np.float16] = np.memmap(folder / "vectors.f16", np.float16, "r", shape=shape)
    graph = usearch.index.Index(ndim=shape[1], metric="cos", dtype="i8")
    for start in range(0, shape[0], _GRAPH_CHUNK):
        chunk = vectors[start : start + _GRAPH_CHUNK]
        graph.add(np.arange(start, start + len(chunk)), chunk)
    graph.save(folder / "graph.usearch")
