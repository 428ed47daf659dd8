"""The files below a folder, on disk or at a URL, without hidden ones."""

import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from openalign.data.files import remote
from openalign.data.left_out import Kind, LeftOut

_OF_OTHER_PROGRAMS = frozenset(
    {
        *("@eadir", "#recycle", "$recycle.bin", "lost+found", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        "node_modules",
    }
)
"""Names, in lower case, that file managers, network drives and package managers give to files of their own."""


def files_below(folder: Path | str, problems: list[str] | None = None, most: int = sys.maxsize) -> list[str]:
    """All files below a folder (a path, or a URL as a string): sorted relative paths with slashes.

    Skipped are hidden files and folders, those of other programs (thumbnails of a NAS, `Thumbs.db`, `node_modules`),
    links that lead nowhere or back, folders that cannot be opened, pipes and devices, and names that are not UTF-8.
    Links to folders outside are followed. `problems` gets a message for each kind that was skipped, with their number.
    A walk on this machine ends when it has `most` files or a few more, those of upper folders first.
    """
    if isinstance(folder, str):
        walk = _Walk(folder)
        for name in remote.entries_below(folder):
            if _is_below_hidden(name):
                walk.skip(Kind.HIDDEN, name)
            else:
                walk.files.append(name)
    else:
        walk = _walked(str(folder), most)
    if problems is not None:
        problems += walk.messages()
    return sorted(walk.files)


@contextmanager
def one_look() -> Iterator[None]:
    """Inside, each folder on this machine is walked once; `files_below` then gives what it held at that time."""
    token = _LOOKED_AT.set({})
    try:
        yield
    finally:
        _LOOKED_AT.reset(token)


def file_states(source: Path | str) -> Iterator[str]:
    """The state of a file, or of each file below a folder (see `files_below`): a string that changes when it does.

    A state consists of path, size and modification time, at a URL also of the ETag.
    """
    if isinstance(source, str):
        yield from _remote_states(source)
        return
    for path in [source / name for name in files_below(source)] if source.is_dir() else [source]:
        if path.is_file():
            status = path.stat()
            yield f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}"


_WORDS = {
    Kind.HIDDEN: "{number:,} hidden files, thumbnails and files of other programs are skipped",
    Kind.NAME_NOT_UTF8: "{number:,} files whose names are not UTF-8 are left out; rename them",
    Kind.LINK_NOT_FOLLOWED: "{number:,} links that lead nowhere, or to a folder that is read already, are not followed",
    Kind.FOLDER_NOT_READ: "{number:,} folders cannot be opened",
    Kind.FILE_NOT_READ: "{number:,} pipes, devices and the like are left out",
}


@dataclass
class _Walk:
    """A walk through the folders below `root`, each of which is read once, whatever links there are."""

    root: str
    most: int = sys.maxsize
    files: list[str] = field(default_factory=list)
    _skipped: dict[Kind, tuple[int, str]] = field(default_factory=dict)
    """The number of skipped things of each kind, and the first of them."""
    _seen: set[tuple[int, int]] = field(default_factory=set)
    """Device and inode of the folders that were read."""
    _links: list[str] = field(default_factory=list)
    """Links to folders; followed when all that is not behind a link has been read, so that its own name counts."""

    def skip(self, kind: Kind, name: str, number: int = 1) -> None:
        before, first = self._skipped.get(kind, (0, name))
        self._skipped[kind] = before + number, first

    def messages(self) -> list[str]:
        return [
            LeftOut(kind, f"{self.root}: {_WORDS[kind].format(number=number)}, the first: {_shown(first)}", number)
            for kind, (number, first) in self._skipped.items()
        ]

    def go(self) -> None:
        self._read("")
        while self._links and len(self.files) < self.most:
            links, self._links = sorted(self._links), []
            for link in links:
                target = os.path.realpath(self._path(link))
                if self._is_known(target) or _lies_in(os.path.realpath(self.root), target):
                    self.skip(Kind.LINK_NOT_FOLLOWED, link)
                else:
                    self._read(link)
        self.files.sort()  # once: `files_below` of `one_look` sorts them again, which takes no time then

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name) if name else self.root  # noqa: PTH118 - names may be any bytes

    def _is_known(self, path: str) -> bool:
        status = os.stat(path)  # noqa: PTH116
        return (status.st_dev, status.st_ino) in self._seen

    def _read(self, top: str) -> None:
        """Read a folder and those below it, but for links."""
        folders = deque([top])
        while folders and len(self.files) < self.most:
            folder = folders.popleft()
            try:
                status = os.stat(self._path(folder))  # noqa: PTH116
                if (status.st_dev, status.st_ino) in self._seen:
                    continue  # behind a link, a folder that was read under another name
                self._seen.add((status.st_dev, status.st_ino))
                with os.scandir(self._path(folder)) as entries:
                    found = list(entries)
            except OSError:
                self.skip(Kind.FOLDER_NOT_READ, folder or self.root)
                continue
            for entry in found:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if self._is_skipped(entry, name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                else:
                    self._add(entry, name)

    def _is_skipped(self, entry: os.DirEntry[str], name: str) -> bool:
        kind = Kind.HIDDEN if is_hidden(entry.name) else None if _is_utf8(entry.name) else Kind.NAME_NOT_UTF8
        if kind is None:
            return False
        if entry.is_dir(follow_symlinks=False):
            self.skip(kind, name, sum(len(files) for _, _, files in os.walk(entry.path)))
        else:
            self.skip(kind, name)
        return True

    def _add(self, entry: os.DirEntry[str], name: str) -> None:
        if entry.is_file(follow_symlinks=False):
            self.files.append(name)
            return
        try:
            mode = entry.stat().st_mode
        except OSError:  # also a link to itself
            self.skip(Kind.LINK_NOT_FOLLOWED, name)
            return
        if stat.S_ISDIR(mode):
            self._links.append(name)
        elif stat.S_ISREG(mode):
            self.files.append(name)
        else:  # reading a pipe or device might never end
            self.skip(Kind.FILE_NOT_READ, name)


_LOOKED_AT: ContextVar[dict[str, _Walk] | None] = ContextVar("looked_at", default=None)
"""The whole walks of `one_look`, by their folders."""


def _walked(root: str, most: int) -> _Walk:
    known = _LOOKED_AT.get()
    if known is not None and most == sys.maxsize and root in known:
        return known[root]
    walk = _Walk(root, most)
    walk.go()
    if known is not None and most == sys.maxsize:
        known[root] = walk
    return walk


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="replace")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remote_states(url: str) -> Iterator[str]:
    if not remote.is_folder(url):
        yield remote.state(url)
        return
    for name, entry in remote.entries_below(url).items():
        if not _is_below_hidden(name):
            yield remote.state_of(f"{url}/{name}", entry)


def _is_below_hidden(name: str) -> bool:
    return any(map(is_hidden, name.split("/")))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is skipped: hidden, or one that another program keeps for itself."""
    return name.startswith(".") or name.lower() in _OF_OTHER_PROGRAMS
