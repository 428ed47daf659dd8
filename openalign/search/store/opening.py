"""The files of an index, opened together as one run left them, whatever a writer does meanwhile."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from openalign.checksums import Checksum, checksum_of
from openalign.errors import OpenAlignError
from openalign.files import recover_folder
from openalign.search.graph import Graph
from openalign.search.store.database import ROWS, Snapshot
from openalign.search.store.map_file import OpenedMapFile
from openalign.search.store.meta import META, Meta, read_commits
from openalign.search.store.table import RowTable
from openalign.search.store.vectors import Vectors
from openalign.search.watched import ADVICE, DamagedIndex, GrowingFile, WatchedFile

_IN_MEMORY = 2**31
"""Largest vectors in bytes that are read into memory, of the rows that no graph covers."""
_OPENINGS = 5
"""Most attempts to open an index that is replaced or compacted while it is being opened."""


class DamagedGraph(DamagedIndex):
    """The graph of an index is damaged, which can be made again from the vectors."""


@dataclass(frozen=True)
class OpenedFiles:
    """An index as one run left it."""

    identity: object
    """What changes when a run into the folder ends."""
    table: RowTable
    vectors: Vectors
    graph: Graph | None
    map: OpenedMapFile | DamagedIndex | None
    _closing: ExitStack

    def close(self) -> None:
        """Close the files."""
        self._closing.close()


def open_files(folder: Path) -> OpenedFiles:
    """Open an index.

    Raises:
        OpenAlignError: `folder` is not an index, or has another version.
        DamagedIndex: a file was changed after the index was written.
    """
    for left in reversed(range(_OPENINGS)):
        recover_folder(folder)
        before = identity(folder)
        try:
            opened = _open(folder.resolve())
        except OpenAlignError:
            if not left or identity(folder) == before:
                raise
        else:
            if not left or identity(folder)[0] == before[0]:
                return opened
            opened.close()  # the folder was replaced meanwhile, so the opened files may belong to two indexes
    raise AssertionError


def _open(folder: Path) -> OpenedFiles:
    copied = identity(folder)
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
        graph = _open_graph(folder, meta, opened)
        map_ = _open_map(folder, meta, opened)
        return OpenedFiles(copied, table, vectors, graph, map_, opened.pop_all())


def _open_graph(folder: Path, meta: Meta, opened: ExitStack) -> Graph | None:
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


def _open_map(folder: Path, meta: Meta, opened: ExitStack) -> OpenedMapFile | DamagedIndex | None:
    """Searches need no map, so that a damaged one only fails where it is asked for."""
    if meta.map is None:
        return None
    try:
        file = OpenedMapFile(folder / str(meta.map_file), meta.map)
    except DamagedIndex as error:
        return error
    opened.callback(file.close)
    return file


def identity(folder: Path) -> tuple[int | None, object]:
    """The inode of the folder, which changes when it is replaced, and what changes when a run into it ends."""
    try:
        copy = (folder / META).stat()
        return folder.stat().st_ino, (copy.st_ino, copy.st_mtime_ns)
    except OSError:
        return (folder.stat().st_ino if folder.exists() else None), None
