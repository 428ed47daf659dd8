"""Atomic output: files and folders are written under a temporary name, synced to disk, and renamed when complete."""

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openalign.checksums import check_files, checksum_file, checksum_of, read_checksums, write_checksums
from openalign.errors import OpenAlignError
from openalign.locks import locked

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems without `fsync` for folders."""


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on any error it is removed.

    The temporary name keeps the suffix of `path`, because writers (Parquet, tar, images) choose a format by it. After
    a power cut either the older or the new file is there. `durable=False` skips this for many small files that are
    checked when read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.partial{path.suffix}")
    try:
        yield partial
        if durable:
            sync(partial)
        partial.replace(path)
        if durable:
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_checked_file(path: Path) -> Iterator[Path]:
    """As `whole_file`, and write its checksum to `PATH.sha256` (see `checksums.check_beside`).

    A kill between the two leaves the new file without a checksum, never with that of the older one.
    """
    with whole_file(path) as partial:
        yield partial
        checksum_file(path).unlink(missing_ok=True)
    with whole_file(checksum_file(path)) as partial:
        partial.write_text(f"{checksum_of(path).sha256}  {path.name}\n", encoding="utf-8")


@contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Use the cache in `folder`, whose files the next run makes again if they are removed.

    Raises:
        OpenAlignError: a file stands where the cache needs a folder, or a folder where it needs a file.
    """
    try:
        yield
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        failed = Path(error.filename2 or error.filename or folder)
        paths = [path for path in (*reversed(failed.parents), failed) if path.is_relative_to(folder)]
        if not paths:
            raise
        in_the_way = next((path for path in paths if os.path.lexists(path) and not path.is_dir()), failed)
        found, needed = ("folder", "file") if in_the_way.is_dir() else ("file", "folder")
        raise OpenAlignError(
            f"{in_the_way} is a {found}, where the cache needs a {needed}: remove it and run the command again, which "
            "makes what it needs"
        ) from None


@contextmanager
def whole_folder(path: Path, carry_over: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path` (an older folder is removed).

    The folder gets a `checksums.json` of its files. `carry_over` may then add files that are not listed in it, such as
    a user's own from the older folder. The lock of `path` is held meanwhile, so existing temporary folders are those
    of a killed run: a complete one is put in place, the others are removed.

    Raises:
        OpenAlignError: another run is writing this folder, or it is a mount point.
        FileExistsError: `path` is a file.
    """
    if path.is_mount():
        raise OpenAlignError(f"{path} is a mount point and cannot be replaced: name a folder inside it")
    if path.exists() and not path.is_dir():
        raise FileExistsError(errno.EEXIST, "a file is where a folder should be", str(path))
    path = path.resolve()  # a symbolic link stays: its target is replaced
    with locked(path):
        _finish_replacing(path)
        partial = _temporary(path, "partial")
        _remove(partial)
        partial.mkdir(parents=True)
        try:
            yield partial
            write_checksums(partial)
            if carry_over is not None:
                carry_over(partial)
            _sync_all(partial)
            partial.rename(_temporary(path, "whole"))
            sync(path.parent)
        finally:
            _remove(partial)
        _put_in_place(path)


def recover_folder(path: Path) -> None:
    """Rename to `path` what a killed run had completed, but not yet renamed; call this before reading the folder.

    Raises:
        OpenAlignError: `path` is missing, and another run is writing it.
    """
    path = path.resolve()
    if not path.exists() and (_temporary(path, "whole").exists() or _temporary(path, "older").exists()):
        try:
            with locked(path):
                _finish_replacing(path)
        except OpenAlignError:
            if not path.exists():  # the lock's owner is not between its two renames
                raise


def put_in_place(whole: Path, path: Path) -> None:
    """Rename the finished folder `whole`, beside `path`, to `path`; an older folder there is removed.

    The lock of `path` must be held. After a kill, `recover_folder` brings the older folder back, or the same call goes
    on.
    """
    _sync_all(whole)
    older = _temporary(path, "older")
    if path.exists():
        _remove(older)
        path.rename(older)
    whole.rename(path)
    sync(path.parent)
    _remove(older)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's list of names, to disk (`fsync`)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def _finish_replacing(path: Path) -> None:
    """Do the remaining steps of an interrupted `whole_folder`; the lock of `path` must be held."""
    whole = _temporary(path, "whole")
    if whole.exists() and not _is_as_written(whole):
        _remove(whole)
    _put_in_place(path)


def _put_in_place(path: Path) -> None:
    """Rename the new folder to `path` and remove the older one; without a new one, keep the older one."""
    whole, older = _temporary(path, "whole"), _temporary(path, "older")
    if whole.exists():
        if path.exists():
            _remove(older)
            path.rename(older)
        whole.rename(path)
    elif older.is_dir() and not path.exists():
        older.rename(path)
    if path.parent.exists():
        sync(path.parent)
    _remove(older)


def _is_as_written(folder: Path) -> bool:
    """Whether a folder that a killed run had completed still matches its checksums."""
    try:
        known = read_checksums(folder)
        check_files(folder, known or (), "")
    except OpenAlignError:
        return False
    return known is not None


def _temporary(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


def _sync_all(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for file in files:
            if stat.S_ISREG(os.lstat(Path(parent, file)).st_mode):  # opening a FIFO would wait for ever
                sync(Path(parent, file))
        sync(Path(parent))


def _remove(folder: Path) -> None:
    # What cannot be removed now, such as a file that another machine has open, is removed by the next run.
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)
