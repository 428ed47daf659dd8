"""The only writer of an index: it adds batches, removes images, and says when a run has ended."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.checksums import Checksum, checksum_of
from openalign.search.store.changes import Listed, NewImage
from openalign.search.store.checks import check_of_lines, check_of_rows
from openalign.search.store.map_file import read_map
from openalign.search.store.meta import MapFile, Meta, write_copy
from openalign.search.store.reader import evenly_spaced
from openalign.search.store.texts import TextsWriter
from openalign.search.store.vectors import Vectors16
from openalign.search.store.writing.rows_writer import RowsWriter
from openalign.search.store.writing.transactions import Transactions
from openalign.search.store.writing.vectors_writer import VectorsWriter, graph_of

_OWN = re.compile(
    r"vectors\.\d+\.f16|graph\.\d+\.\d+\.usearch|map\.\d+\.parquet|\.(meta|graph|map).*\.partial\.(json|usearch|parquet)"
)
"""Files that only a writer makes."""


class IndexWriter(Transactions):
    """Writes the index in `folder`; the lock of the index must be held.

    Each method that changes something does it in one transaction: after a kill, all of it is there or nothing. `find`
    and `known` may be called in other threads.

    Raises:
        OpenAlignError: the table or a file cannot be written, usually because the disk is full.
        DamagedIndex: something that is read is not as it was written.
    """

    def __init__(self, folder: Path, begin_with: Meta | None = None) -> None:
        """Open an index; with `begin_with`, make a new one in a folder that is empty."""
        super().__init__(folder)
        self._rows = RowsWriter(self._table)
        self.alike = self._rows.alike
        self.texts = TextsWriter(self._table)
        try:
            if begin_with is None:
                self.meta = self._stored = self._read_state()
            else:
                self.meta = begin_with
                with self.transaction():
                    (folder / begin_with.vectors_file).touch()
            self._vectors = VectorsWriter(self.folder, self._table, self.meta)
            self._remove_leftovers()
        except BaseException:
            self._table.close()
            raise

    def find(self, listed: Sequence[Listed]) -> dict[tuple[str, int], tuple[Listed, int]]:
        """See `RowsWriter.find`."""
        with self.readable_errors():
            return self._rows.find(listed)

    def has_all(self, listed: Sequence[Listed]) -> bool:
        """See `RowsWriter.has_all`."""
        with self.readable_errors():
            return self._rows.has_all(listed)

    @property
    def is_stored(self) -> bool:
        """Whether nothing was changed since the last run that came to its end."""
        return self._stored.finished

    def known(self, digest: bytes) -> int | None:
        """The id of the image with these bytes, if there is one."""
        with self.readable_errors():
            found = self._table.execute("SELECT id FROM images WHERE digest = ?", (digest,)).fetchone()
        return found[0] if found else None

    def names_of(self, source: int) -> int:
        """How many names of a source there are."""
        with self.readable_errors():
            found = self._table.execute("SELECT count(*) FROM files WHERE source = ?", (source,)).fetchone()
        return int(found[0])

    def add(self, images: Sequence[NewImage], names: Sequence[tuple[Listed, int]] = ()) -> None:
        """Append new images, and give those that are there, by id, further or changed names."""
        with self.transaction():
            changed = [self._rows.insert(self.meta.rows + number, image) for number, image in enumerate(images)]
            changed += [self._rows.name(listed, image) for listed, image in names]
            for id_ in sorted(set().union(*changed)):
                self._rows.derive(id_)
            if images:
                self.meta = self._vectors.append(np.stack([image.vector for image in images]), self.meta)

    def remove_names(self, source: int, keep: set[tuple[str, int]]) -> None:
        """Remove the names of a source but for those to `keep` (name, copy); their images stay for now."""
        with self.transaction():
            self._rows.remove_names(source, keep)

    def remove_nameless(self) -> int:
        """Remove the images that no source has any more; returns their number."""
        before = self.meta.deleted
        with self.transaction():
            were_right = self.alike.check() == self.meta.alike_check
            rows = self._rows.remove_nameless()
            deleted_check = check_of_rows(np.array(rows, np.int64))
            # The largest ids may be given again.
            compared = min(self.meta.compared, self.alike.last())
            self.meta = replace(self.meta, deleted=len(rows), deleted_check=deleted_check, compared=compared)
            if were_right:  # else `note_duplicates` makes them anew
                self.meta = replace(self.meta, alike_check=self.alike.check())
        return self.meta.deleted - before

    def forget_graph(self) -> None:
        """Go on without the graph, whose file is damaged."""
        with self.transaction():
            self.meta = replace(self.meta, graph=None)
        self._remove_leftovers()

    def make_graph(self) -> None:
        """Make a graph of all rows."""
        with self.readable_errors():
            made = graph_of(self.folder, self.meta)
        with self.transaction():
            self.meta = replace(self.meta, graph=made)
        self._remove_leftovers()

    @property
    def next_map_file(self) -> str:
        """The name for the file of another map, for `put_map`."""
        return str(replace(self.meta, map=MapFile(self.meta.commits + 1, 0, 0, "")).map_file)

    @property
    def laid(self) -> int:
        """How many images there were when the map was laid out."""
        return self.meta.map.laid if self.meta.map else 0

    def put_map(self, laid: int | None) -> None:
        """Take the file `next_map_file` as the map, laid out when there were `laid` images; None: there is no map."""
        if laid is None and self.meta.map is None:
            return
        with self.transaction():
            number = self.meta.commits + 1
            checksum = checksum_of(self.folder / self.next_map_file) if laid is not None else Checksum(0, "")
            made = None if laid is None else MapFile(number, laid, checksum.bytes, checksum.sha256)
            self.meta = replace(self.meta, map=made)
        self._remove_leftovers()

    def map_bytes(self) -> bytes | None:
        """What the file of the map holds; None without a map. Raises DamagedIndex if it is not as it was written."""
        return read_map(self.folder, self.meta)

    def ids(self) -> NDArray[np.int64]:
        """The ids of all images, in the order of their rows."""
        with self.readable_errors():
            found = self._table.execute("SELECT id FROM images ORDER BY row")
            return np.fromiter((id_ for (id_,) in found), np.int64)

    def shown_texts(self) -> dict[int, str | None]:
        """The texts of all images, one a line, or their labels, by their ids."""
        with self.readable_errors():
            return dict(self._table.execute("SELECT id, coalesce(text, label) FROM images").fetchall())

    def compact(self, *, with_graph: bool) -> None:
        """Leave out deleted rows: files of a new generation, in which images are numbered anew.

        Readers keep the files of theirs.
        """
        meta = replace(self.meta, generation=self.meta.generation + 1, rows=self.meta.images, graph=None)
        with self.readable_errors():
            checks = self._vectors.copy(self.meta, self.folder / meta.vectors_file)
            graph = graph_of(self.folder, meta) if with_graph else None
        with self.transaction():
            self._table.execute("DELETE FROM blocks")
            self._table.executemany("INSERT INTO blocks VALUES (?, ?)", list(enumerate(checks)))
            self._rows.number_anew()
            self.meta = replace(meta, graph=graph, deleted=0, deleted_check=0)
        self._vectors.close()
        self._vectors = VectorsWriter(self.folder, self._table, self.meta)
        self._remove_leftovers()

    def finish(self, meta: Meta, problems: Sequence[str]) -> None:
        """Note that a run has ended, if anything is new; `meta` has what is new of the sources."""
        # File names may contain line breaks.
        lines = [" ".join(problem.splitlines()).encode("utf-8", "backslashreplace").decode() for problem in problems]
        meta = replace(meta, problems_check=check_of_lines(lines), finished=True)
        if meta != self._stored:
            with self.transaction():
                self._table.execute("DELETE FROM problems")
                self._table.executemany("INSERT INTO problems VALUES (?, ?)", list(enumerate(lines)))
                self.meta = meta
            self.write_copy()

    def write_copy(self) -> None:
        """Write `meta.json`, without which the folder is no index."""
        write_copy(self.folder, self.meta)

    def thumbnail(self, image: int) -> bytes:
        """The small JPEG of an image, by its id."""
        with self.readable_errors():
            return self._rows.thumbnail(image)

    def sample(self, count: int) -> Vectors16:
        """The vectors (N, D) of up to `count` images, at even intervals."""
        with self.readable_errors(), self._vectors.reading(self.meta) as (rows, vectors):
            return vectors.take(rows[evenly_spaced(len(rows), count)])

    def vectors(self, ids_N: NDArray[np.int64]) -> Vectors16:
        """The vectors (N, D) of the images with these ids."""
        with self.readable_errors(), self._vectors.reading(self.meta) as (_, vectors):
            sql = "SELECT row FROM images WHERE id = ?"
            rows = [self._table.execute(sql, (id_,)).fetchone()[0] for id_ in ids_N.tolist()]
            return vectors.take(np.array(rows, np.int64))

    def pieces(self) -> Iterator[tuple[NDArray[np.int64], Vectors16]]:
        """The vectors (P, D) of all images, some at once, with the ids (P,) of their images; -1 for a deleted row."""
        with self.readable_errors(), self._vectors.reading(self.meta) as (rows, vectors):
            ids_N = np.full(self.meta.rows, -1)
            ids_N[rows] = self.ids()
            for start, piece_PD in vectors.pieces():
                yield ids_N[start : start + len(piece_PD)], piece_PD

    def close(self) -> None:
        """Close the files, and write the log of SQLite into its file."""
        self._vectors.close()
        with suppress(sqlite3.Error):  # of a full disk, or readers of the log: it stays, and is as good
            self._table.execute("PRAGMA busy_timeout = 0")
            self._table.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._table.close()

    def _remove_leftovers(self) -> None:
        """Remove the files of other generations, and graphs that were replaced; readers keep what they opened."""
        kept = {self.meta.vectors_file, self.meta.graph_file, self.meta.map_file}
        for path in self.folder.iterdir():
            if path.name not in kept and _OWN.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)
