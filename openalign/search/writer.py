"""Writes the files of an index, row by row."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError
from openalign.search.graph import build_graph
from openalign.search.meta import Meta
from openalign.search.rows import SCHEMA, Row, joined
from openalign.search.store import EXACT_BELOW, GRAPH
from openalign.search.vectors import Vectors16


class StoreWriter:
    """Writes an index folder row by row, with little memory; `finish` completes it.

    Raises:
        OpenAlignError: the table or the graph cannot be written, usually because the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = 0
        self.copies = 0
        """Images that were not added, since an earlier row has their bytes."""
        self._vectors = (folder / "vectors.f16").open("w+b")
        self._table = sqlite3.connect(folder / "rows.sqlite")
        with self._readable_errors():
            self._table.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)

    def add(self, rows: Sequence[Row], thumbnails: Sequence[bytes], vectors_ND: Vectors16) -> None:
        """Append N rows, numbered from the last one on."""
        self._vectors.write(vectors_ND.tobytes())
        with self._readable_errors():
            for row, jpeg in zip(rows, thumbnails, strict=True):
                values = (self.rows, *astuple(row)[1:])
                self._table.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                self._table.execute("INSERT INTO thumbnails VALUES (?, ?)", (self.rows, jpeg))
                self.rows += 1

    def add_texts(self, copies: Sequence[Row]) -> None:
        """Add the texts of images whose bytes are those of an earlier row to that row."""
        with self._readable_errors():
            for copy in copies:
                earlier = self._table.execute(
                    "SELECT row, text FROM images WHERE digest = ?", (copy.digest,)
                ).fetchone()
                text = joined([*(earlier[1] or "").split("\n"), *copy.texts])
                self._table.execute("UPDATE images SET text = ? WHERE row = ?", (text, earlier[0]))
        self.copies += len(copies)

    def vector_of(self, digest: bytes) -> Vectors16 | None:
        """The vector (D,) of the first row with this digest, if one was added."""
        found = self._table.execute("SELECT min(row) FROM images WHERE digest = ?", (digest,)).fetchone()
        if found[0] is None:
            return None
        self._vectors.flush()
        row_bytes = self._vectors.tell() // self.rows
        vector_D: NDArray[np.float16] = np.frombuffer(
            os.pread(self._vectors.fileno(), row_bytes, found[0] * row_bytes), np.float16
        )
        return vector_D

    def finish(self, meta: Meta, problems: Sequence[str]) -> None:
        """Write buffered vectors, the graph if there are many rows, and last `meta.json`."""
        self._vectors.flush()
        lines = "".join(
            " ".join(problem.splitlines()) + "\n" for problem in problems
        )  # file names may contain line breaks
        (self.folder / "problems.txt").write_text(lines, encoding="utf-8", errors="backslashreplace")
        with self._readable_errors():
            self._table.commit()
            if meta.rows >= EXACT_BELOW:
                build_graph(self.folder / "vectors.f16", self.folder / GRAPH, meta.rows, meta.width)
        (self.folder / "meta.json").write_text(json.dumps(asdict(meta), indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Close the files, finished or not."""
        self._table.close()
        self._vectors.close()

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Turn the exceptions of SQLite and usearch, raised for a full disk, into OpenAlignError."""
        try:
            yield
        except (sqlite3.Error, RuntimeError) as error:
            raise OpenAlignError(
                f"{self.folder} cannot be written ({error}): make room, and give the same command again."
            ) from None
