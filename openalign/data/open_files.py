"""Ranges of bytes out of many local files, read from any number of threads, with the files last used held open."""

import os
from functools import lru_cache
from pathlib import Path

from openalign.errors import OpenAlignError

_MOST_OPEN = 64
"""Files held open at once for one source; a process may have 1,024 on most machines, and opens many sources."""


class OpenFiles:
    """Reads from local files by path, and keeps up to `most_open` of them open.

    Safe among threads: whoever reads holds the open file, which closes when the last reader lets go of it. Safe after a
    fork: a read names its offset, so processes share no position. Picklable: a copy begins with no file open.
    A path stays the file that it was when it was first read, until that is closed.
    """

    def __init__(self, most_open: int = _MOST_OPEN) -> None:
        self._most_open = most_open
        # This cache takes no lock that a fork could copy in its locked state.
        self._opened = lru_cache(most_open)(_OpenFile)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """The `size` bytes from `offset` on; fewer where the file ends. Raises `OpenAlignError` naming the file."""
        try:
            opened = self._opened(path)  # held until this function returns: the number stays ours while it is read
            return os.pread(opened.number, size, offset)
        except (OSError, OverflowError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or f"{size} bytes from byte {offset} on"
            raise OpenAlignError(f"{path} cannot be read: {reason}") from None

    def close(self) -> None:
        """Let go of the files; each closes when nobody reads from it any more. A later read opens it again."""
        self._opened.cache_clear()

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[int]]:
        return OpenFiles, (self._most_open,)


class _OpenFile:
    """A file descriptor that closes with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)
