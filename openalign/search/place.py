"""Where a run writes: the index itself, or a folder beside it that takes its place.

A new index is begun in `.NAME.new` and appears under its name with its first batch. One that replaces another (a
damaged one, one of another version or model) appears when it is finished, and the older one answers until then. What
an interrupted run leaves in `.NAME.new` is where the next one goes on.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock

from openalign.embedding.sources import permanent_name
from openalign.errors import OpenAlignError
from openalign.files import put_in_place, recover_folder, sync
from openalign.model.dual_encoder import DualEncoder
from openalign.options import option
from openalign.progress import say
from openalign.search.store.changes import Listed
from openalign.search.store.meta import Meta, NewerIndex, beside, embedded_texts
from openalign.search.store.opening import DamagedGraph
from openalign.search.store.reader import Store
from openalign.search.store.writer import IndexWriter

_USERS_FILES = ("examples.json", "CREDITS", "saved.sqlite")
"""Files that users put into an index folder; another index in its place keeps them."""
_LARGEST_USERS_FILE = {"saved.sqlite": 2**26}
"""Bytes; of the others `_LARGEST`."""
_LARGEST = 2**20
_OWN = re.compile(
    r"meta\.json|rows\.sqlite(-wal|-shm)?|vectors(\.\d+)?\.f16|saved\.sqlite-journal|graph(\.\d+\.\d+)?\.usearch"
    r"|map\.\d+\.parquet|problems\.txt|checksums\.json"
    r"|\..*\.partial(\..*)?"
)
"""Files of an index of this version or of an older one, and those left by a kill."""
_TYPICAL = re.compile(r"meta\.json|rows\.sqlite|vectors(\.\d+)?\.f16")
"""A folder with two of these is an index: one may be missing, and other programs also write a meta.json."""
_WAIT_S = 10.0
"""How long to wait for another process that writes a file of users."""
_MOST_UP = 3
"""A model further away than this many folders up is found by its absolute path only."""


class Place:
    """The writer of a run; looking up is safe in many threads."""

    def __init__(self, folder: Path, writer: IndexWriter, appears_at_once: bool) -> None:
        self.folder = folder
        """The index as the user named it."""
        self.writer = writer
        self._appears_at_once = appears_at_once
        self._moving = Lock()

    def find(self, listed: Sequence[Listed]) -> dict[tuple[str, int], tuple[Listed, int]]:
        """See `RowsWriter.find`."""
        return self.writer.find(listed)

    def has_all(self, listed: Sequence[Listed]) -> bool:
        """See `RowsWriter.has_all`."""
        return self.writer.has_all(listed)

    def known(self, digest: bytes) -> int | None:
        """See `IndexWriter.known`."""
        with self._moving:
            return self.writer.known(digest)

    @property
    def is_beside(self) -> bool:
        """Whether the index does not have its name yet."""
        return self.writer.folder != self.folder

    def appear(self) -> None:
        """Give a new index its name, as soon as it has something to answer with."""
        if self.is_beside and self._appears_at_once:
            self._put_in_place()

    def finish(self) -> None:
        """Give the index its name, in place of an older one."""
        if self.is_beside:
            self._put_in_place()

    def _put_in_place(self) -> None:
        with self._moving:
            self.writer.write_copy()
            self.writer.close()  # SQLite would make its further files under the old name
            for path in self.writer.folder.iterdir():
                sync(path)  # which may take long, so before what others may write to meanwhile is copied
            _copy_users_files(self.folder, self.writer.folder)
            put_in_place(self.writer.folder, self.folder)
            self.writer = IndexWriter(self.folder)


@contextmanager
def place_of(to: Path, model: DualEncoder, *, re_embed: bool, strict: bool) -> Iterator[Place]:
    """The place of a run into the index `to`, whose lock must be held; says what a run that fails leaves for the next.

    Raises:
        OpenAlignError: `to` is not an index, or was made by another model (unless `re_embed`).
    """
    recover_folder(to)
    if _is_to_be_continued(to, model, re_embed=re_embed):
        place = Place(to, IndexWriter(to), appears_at_once=False)
        if not place.writer.meta.finished:
            say(f"{place.writer.meta.images:,} images are in {to} since an interrupted run, and are not embedded again")
    else:
        _check_replaceable(to)
        is_new = not to.exists() or not any(to.iterdir())
        place = Place(to, _beside(to, model), appears_at_once=is_new and not strict)
    try:
        yield place
        place.finish()
    except BaseException:
        place.writer.close()
        _tell_kept(place)
        raise
    place.writer.close()
    for left in (_new(to), to.with_name(f".{to.name}.older")):  # by runs that were killed
        shutil.rmtree(left, ignore_errors=True)


def _is_to_be_continued(to: Path, model: DualEncoder, *, re_embed: bool) -> bool:
    """Whether a run adds to the index that is there; raises OpenAlignError if that was made by another model."""
    if re_embed or not to.is_dir() or not any(to.iterdir()):
        return False
    try:
        store = Store(to)
    except DamagedGraph as error:
        say(f"The graph is made again: {error}")
        writer = IndexWriter(to)
        writer.forget_graph()
        writer.close()
        store = Store(to)
    except NewerIndex:
        raise
    except OpenAlignError as error:
        _check_replaceable(to)
        say(f"The existing index cannot be used, so all images are embedded again: {error}")
        return False
    store.close()
    if store.meta.fingerprint != model.fingerprint:
        raise OpenAlignError(
            f"{to} was made by the model {store.meta.model_name} ({store.meta.fingerprint[:12]}), not by {model.name} "
            f"({model.fingerprint[:12]}): add {option('re_embed')} to embed all images again, or name another folder "
            f"with {option('to')}."
        )
    return True


def _beside(to: Path, model: DualEncoder) -> IndexWriter:
    """The writer of `.NAME.new`: of what an interrupted run of the same model has written there, else of nothing."""
    folder = _new(to)
    try:
        writer = IndexWriter(folder) if (folder / "rows.sqlite").exists() else None
    except OpenAlignError:
        writer = None
    if writer is not None and (writer.meta.fingerprint, writer.meta.width) == (model.fingerprint, model.width):
        say(f"{writer.meta.images:,} images were embedded by an interrupted run and are not embedded again")
        return writer
    if writer is not None:
        writer.close()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    meta = Meta(model.width, "", "", model.fingerprint, [], embed_texts=embedded_texts(to))
    return IndexWriter(folder, with_model(meta, model, to))


def with_model(meta: Meta, model: DualEncoder, folder: Path) -> Meta:
    """The state with the place where this model is now, seen from the index folder."""
    name = permanent_name(model.name)
    return replace(meta, model=name, model_name=model.name, model_beside=beside(name, folder.resolve(), _MOST_UP))


def _new(to: Path) -> Path:
    return to.with_name(f".{to.name}.new")


def _tell_kept(place: Place) -> None:
    if place.writer.meta.images:
        say(f"The images embedded so far are kept in {place.writer.folder}: the same command resumes from there")
    elif place.is_beside:
        shutil.rmtree(place.writer.folder, ignore_errors=True)


def _check_replaceable(to: Path) -> None:
    """Raise OpenAlignError unless `to` is absent, empty, or an index (whole or damaged) without other files."""
    if to.is_mount():
        raise OpenAlignError(f"{to} is a mount point and cannot be replaced: name a folder inside it")
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    names = {path.name for path in to.iterdir()} if to.is_dir() else set()
    if sum(_TYPICAL.fullmatch(name) is not None for name in names) < 2:
        raise OpenAlignError(f"{to} exists and is not an index; name a new folder with {option('to')}.")
    if others := sorted(name for name in names - set(_USERS_FILES) if not _OWN.fullmatch(name)):
        raise OpenAlignError(
            f"{to} also holds {others[0]}, which is not part of an index and would be lost: move it elsewhere, or "
            f"name a new folder with {option('to')}."
        )
    for name in _USERS_FILES:
        path = to / name
        most = _LARGEST_USERS_FILE.get(name, _LARGEST)
        if path.exists() and (not path.is_file() or path.stat().st_size > most):
            raise OpenAlignError(
                f"{path} is not a file of at most {most >> 20} MB: move it elsewhere, then index again."
            )


def _copy_users_files(to: Path, new: Path) -> None:
    for name in _USERS_FILES:
        if (to / name).is_file():
            copy = _copy_table if name.endswith(".sqlite") else shutil.copy2
            copy(to / name, new / name)


def _copy_table(table: Path, to: Path) -> None:
    """Copy a file of SQLite as it is after the last transaction, while another process may be in the next one."""
    for left in (to, to.with_name(f"{to.name}-journal")):  # by a run that was killed
        left.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{table.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT_S)) as source,
            closing(sqlite3.connect(to)) as copied,
        ):
            source.executescript("PRAGMA trusted_schema = OFF; BEGIN;")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # `backup` would wait for ever for a lock
            source.backup(copied)
    except sqlite3.OperationalError as error:
        told = f"{table} cannot be copied into the new index ({error}): give the same command again."
        raise OpenAlignError(told) from None
    except sqlite3.DatabaseError:  # it is damaged: whoever reads it says so
        shutil.copy2(table, to)
