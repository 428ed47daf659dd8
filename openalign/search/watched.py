"""Files of an opened index, which detect that they are changed in place."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from openalign.errors import OpenAlignError

ADVICE = "the index is damaged; build the index again with `openalign index ... --re-embed`"
_MOST_AT_ONCE = 2**30
"""Bytes of one read; the kernel returns at most 2 GiB."""


class DamagedIndex(OpenAlignError):
    """A file of an index is damaged, or was changed after the index was opened."""


class WatchedFile:
    """A file opened for reading, with its size and modification time at that moment.

    Such a file of an index is never changed: another one takes its place. A change means writing in place.

    Raises:
        DamagedIndex: it cannot be opened, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Without O_NONBLOCK, opening a pipe would wait for its writer; regular files ignore it.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise DamagedIndex(f"{path} cannot be read ({error.strerror}): {ADVICE}") from None
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise DamagedIndex(f"{path} is not a regular file: {ADVICE}")
        self.size = status.st_size
        self._time = status.st_mtime_ns

    def check(self) -> None:
        """Raise DamagedIndex if the file was changed after it was opened; call it after reading."""
        status = os.fstat(self._descriptor)
        if (status.st_size, status.st_mtime_ns) != (self.size, self._time):
            raise DamagedIndex(
                f"{self.path} was changed after it was opened: open the index again (restart the service), "
                "and build it again if that refuses it"
            )

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`; raises DamagedIndex if the file is shorter or was changed."""
        ranges = [
            (start, min(_MOST_AT_ONCE, offset + count - start))
            for start in range(offset, offset + count, _MOST_AT_ONCE)
        ]
        return self.read_ranges(ranges)

    def read_ranges(self, ranges: Iterable[tuple[int, int]]) -> bytes:
        """The bytes of several ranges (offset, length), concatenated; raises DamagedIndex as `read` does."""
        chunks = []
        for offset, count in ranges:
            try:
                chunk = os.pread(self._descriptor, count, offset)
            except OSError as error:
                raise DamagedIndex(f"{self.path} cannot be read ({error.strerror}): {ADVICE}") from None
            if len(chunk) < count:
                raise DamagedIndex(f"{self.path} was truncated to {offset + len(chunk):,} bytes: {ADVICE}")
            chunks.append(chunk)
        self.check()
        return b"".join(chunks)

    def close(self) -> None:
        """Close the descriptor; call it once."""
        os.close(self._descriptor)


class GrowingFile(WatchedFile):
    """A file that a writer appends to, so that a change is none of its own; what was read must be compared."""

    def check(self) -> None:
        """Do nothing: see `changed`."""

    def changed(self) -> bool:
        """Whether the file was written to since it was opened, or since the last call."""
        status = os.fstat(self._descriptor)
        before, now = (self.size, self._time), (status.st_size, status.st_mtime_ns)
        self.size, self._time = now
        return before != now
