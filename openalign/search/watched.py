"""Files of an opened index, held by their descriptors, so that a change made to one in place is noticed."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from openalign.errors import OpenAlignError

ADVICE = "the index is damaged; build the index again"
_MOST_AT_ONCE = 2**30
"""Bytes of one read; the kernel gives no more than 2 GiB."""


class DamagedIndex(OpenAlignError):
    """A file of an index is not as it was written, or was changed after the index was opened."""


class WatchedFile:
    """A file opened for reading, and the size and time of change it had then.

    An index is replaced by renaming folders, which leaves opened files as they are: one that changes was written to.

    Raises:
        DamagedIndex: it cannot be opened, or is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # A pipe would keep us waiting for its writer without O_NONBLOCK; regular files do not care.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise DamagedIndex(f"{path} cannot be read ({error.strerror}): {ADVICE}") from None
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise DamagedIndex(f"{path} is not a file: {ADVICE}")
        self.size = status.st_size
        self._time = status.st_mtime_ns

    def check(self) -> None:
        """Raise DamagedIndex if the file was changed since it was opened; call it after reading."""
        status = os.fstat(self._descriptor)
        if (status.st_size, status.st_mtime_ns) != (self.size, self._time):
            raise DamagedIndex(
                f"{self.path} was changed after it was opened: open the index again (restart the service), "
                "and build it again if that refuses it"
            )

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`; raises DamagedIndex if the file does not have them, or was changed."""
        pieces = [
            (start, min(_MOST_AT_ONCE, offset + count - start))
            for start in range(offset, offset + count, _MOST_AT_ONCE)
        ]
        return self.read_pieces(pieces)

    def read_pieces(self, pieces: Iterable[tuple[int, int]]) -> bytes:
        """The pieces (offset, bytes) after each other; raises DamagedIndex as `read` does."""
        parts = []
        for offset, count in pieces:
            try:
                part = os.pread(self._descriptor, count, offset)
            except OSError as error:
                raise DamagedIndex(f"{self.path} cannot be read ({error.strerror}): {ADVICE}") from None
            if len(part) < count:
                raise DamagedIndex(f"{self.path} was cut to {offset + len(part):,} bytes: {ADVICE}")
            parts.append(part)
        self.check()
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the descriptor; call it once."""
        os.close(self._descriptor)
