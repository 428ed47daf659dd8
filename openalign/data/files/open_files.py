"""Byte ranges of many local files, read from any thread, with the most recently used files kept open."""

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from openalign.errors import OpenAlignError

_MOST_OPEN = 64
"""Files kept open per source; most systems allow 1,024 per process, which opens many sources."""


_State = tuple[int, int]
"""Size in bytes and modification time in nanoseconds."""


class OpenFiles:
    """Reads local files by path and keeps up to `most_open` of them open.

    Thread-safe: a reader holds a reference to the open file, which closes with the last one. Fork-safe: every read
    gives its offset, so processes share no file position. Picklable: a copy starts with no open files.
    A file that was changed or replaced before it is reopened is an error, since offsets in it would mean other bytes.
    """

    def __init__(self, most_open: int = _MOST_OPEN, states: dict[Path, _State] | None = None) -> None:
        self._most_open = most_open
        self._states = {} if states is None else states
        # `lru_cache` holds no lock that a fork could copy while it is taken.
        self._opened = lru_cache(most_open)(_OpenFile)

    def remember(self, paths: Iterable[Path]) -> None:
        """Record the current state of these files; the state of others is recorded when they are first read."""
        for path in paths:
            with suppress(OSError):  # a missing file is reported when it is read
                self._states.setdefault(path, _state_of(path.stat()))

    def only(self, paths: Iterable[Path]) -> "OpenFiles":
        """The same for these files alone, none of them open: what another process needs."""
        return OpenFiles(self._most_open, {path: self._states[path] for path in paths if path in self._states})

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer at the end of the file.

        Raises `OpenAlignError` naming the file if it cannot be read or has been changed or replaced.
        """
        try:
            opened = self._opened(path)  # the reference keeps the descriptor open until this function returns
            if self._states.setdefault(path, opened.state) != opened.state:
                raise OpenAlignError(f"{path} was changed or replaced since its folder was opened: start again")
            return os.pread(opened.number, size, offset)
        except (OSError, OverflowError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or f"{size} bytes at offset {offset}"
            raise OpenAlignError(f"{path} cannot be read: {reason}") from None

    def close(self) -> None:
        """Close the files, each once no thread is reading it. A later read opens it again."""
        self._opened.cache_clear()

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[int, dict[Path, _State]]]:
        return OpenFiles, (self._most_open, self._states)


class _OpenFile:
    """A file descriptor that closes with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)
        self.state = _state_of(os.fstat(self.number))

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


def _state_of(status: os.stat_result) -> _State:
    return status.st_size, status.st_mtime_ns
