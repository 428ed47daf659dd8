"""The files below a folder, on disk or at a URL, without hidden ones."""

import os
from collections.abc import Iterator
from pathlib import Path

from openalign.data.files import remote


def files_below(folder: Path | str) -> list[str]:
    """All files below a folder (a path, or a URL as a string): sorted relative paths with slashes.

    Hidden files and folders are skipped, as are those called `node_modules`.
    """
    if isinstance(folder, str):
        return [name for name in remote.entries_below(folder) if not _is_below_hidden(name)]
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        below = Path(parent).relative_to(folder)
        found += [(below / name).as_posix() for name in files if not _is_hidden(name)]
    return sorted(found)


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


def _remote_states(url: str) -> Iterator[str]:
    if not remote.is_folder(url):
        yield remote.state(url)
        return
    for name, entry in remote.entries_below(url).items():
        if not _is_below_hidden(name):
            yield remote.state_of(f"{url}/{name}", entry)


def _is_below_hidden(name: str) -> bool:
    return any(map(_is_hidden, name.split("/")))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "node_modules"
