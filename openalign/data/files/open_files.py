"""Ranges of bytes out of many local files, read from any number of threads, with the files last used held open."""

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from openalign.errors import OpenAlignError

_MOST_OPEN = 64
"""Files held open at once for one source; a process may have 1,024 on most machines, and opens many sources."""


_State = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


class OpenFiles:
    """Reads from local files by path, and keeps up to `most_open` of them open.

    Safe among threads: whoever reads holds the open file, which closes when the last reader lets go of it. Safe after a
    fork: a read names its offset, so processes share no position. Picklable: a copy begins with no file open.
    A file that is another one when it is opened again is refused, since offsets in it would mean other bytes.
    """

    def __init__(self, most_open: int = _MOST_OPEN, states: dict[Path, _State] | None = None) -> None:
        self._most_open = most_open
        self._states = {} if states is None else states
        # This cache takes no lock that a fork could copy in its locked state.
        self._opened = lru_cache(most_open)(_OpenFile)

    def remember(self, paths: Iterable[Path]) -> None:
        """Take these files for what they are now; others for what they are when they are first read."""
        for path in paths:
            with suppress(OSError):  # whoever reads it says that it is missing
                self._states.setdefault(path, _state_of(path.stat()))

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """The `size` bytes from `offset` on; fewer where the file ends.

        Raises `OpenAlignError` naming the file if it cannot be read, or is another one than before.
        """
        try:
            opened = self._opened(path)  # held until this function returns: the number stays ours while it is read
            if self._states.setdefault(path, opened.state) != opened.state:
                raise OpenAlignError(f"{path} was changed or replaced since its folder was opened: start again")
            return os.pread(opened.number, size, offset)
        except (OSError, OverflowError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or f"{size} bytes from byte {offset} on"
            raise OpenAlignError(f"{path} cannot be read: {reason}") from None

    def close(self) -> None:
        """Let go of the files; each closes when nobody reads from it any more. A later read opens it again."""
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
