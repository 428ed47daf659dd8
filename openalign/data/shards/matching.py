"""Whether the index beside a tar is of that tar: the headers before some of its images are looked at.

A tar may be written anew under its name, or samples taken out of it or added; an index that was left beside it would
then put texts to other images.
"""

import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from openalign.data.files import remote
from openalign.data.shards.sidecar import DIGEST, digest_of

Reader = Callable[[int, int], bytes]
"""Up to so many bytes, from an offset."""

_BLOCK = tarfile.BLOCKSIZE
_END_OF_TAR = bytes(2 * _BLOCK)
_LOOKED_AT = 4
"""Rows of an index with digests whose headers are looked at: a digest finds the others when they are read."""
_LOOKED_AT_IN_A_YOUNGER_TAR = 64
_LOOKED_AT_REMOTELY = 2
_MOST_REMOTELY = 8
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_AFTER_THE_LAST = 8
"""Headers that are read after the last image, up to the end of the tar."""


def mismatch(index: pa.Table, written: float, tar: Path) -> tuple[str, int | None]:
    """Why `index` is not that of the local tar, "" if it is; and the size of a tar that is cut off, else None.

    `written` is the time at which the index was: of a tar that is younger more rows are looked at.
    """
    with tar.open("rb") as file:
        number = file.fileno()
        status = os.fstat(number)
        size = status.st_size
        is_whole = os.pread(number, len(_END_OF_TAR), max(0, size - len(_END_OF_TAR))) == _END_OF_TAR
        rows = _Rows(index, lambda offset, length: os.pread(number, length, offset))
        some = _LOOKED_AT if status.st_mtime <= written else _LOOKED_AT_IN_A_YOUNGER_TAR
        return rows.mismatch(size, is_whole, some), None if is_whole else size


def mismatch_at(index: pa.Table, url: str) -> str:
    """Why `index` is not that of the tar at a URL, "" if it is; only some headers are requested."""
    rows = _Rows(index, lambda offset, length: remote.read_range(url, offset, length))
    return rows.headers_differ(rows.some(_LOOKED_AT_REMOTELY, _MOST_REMOTELY))


class _Rows:
    """The rows of an index, and how its tar is read."""

    def __init__(self, index: pa.Table, read: Reader) -> None:
        self._index = index
        self._read = read
        self._offsets, self._sizes = (index[name].to_numpy() for name in ("image_offset", "image_size"))
        self._has_digests = DIGEST in index.column_names

    def some(self, some: int, most: int) -> list[int]:
        """The first row, the last one and some between; up to `most` where no digest would find another image."""
        last = len(self._index) - 1
        count = min(last + 1, some if self._has_digests else most)
        return sorted({last * place // max(1, count - 1) for place in range(count)})

    def mismatch(self, size: int, is_whole: bool, some: int) -> str:
        if not len(self._index):
            return ""
        beyond = self._offsets > size - self._sizes
        if beyond.any() and is_whole:
            row = int(np.argmax(beyond))
            return f"its row {row + 1} has image_offset {self._offsets[row]}, beyond the end of the tar"
        rows = [row for row in self.some(some, len(self._index)) if not beyond[row]]
        if why := self.headers_differ(rows) or self._texts_differ(rows):
            return why
        return self._goes_on(int(np.argmax(self._offsets))) if is_whole else ""

    def headers_differ(self, rows: Sequence[int]) -> str:
        """Why the headers before some images are not those that the index tells of."""
        for row in rows:
            offset, size = int(self._offsets[row]), int(self._sizes[row])
            key = self._key(row)
            header = self._read(offset - _BLOCK, _BLOCK) if offset >= _BLOCK else b""
            if (_is_of(header, key) and _size_of(header) == size) or self._is_image(row, offset, size):
                continue
            return f"its row {row + 1} is the image of {key}, of {size:,} bytes, and the tar has something else there"
        return ""

    def _texts_differ(self, rows: Sequence[int]) -> str:
        """Why the texts behind some images, where the writer puts them, are not those that the index tells of."""
        for row in rows:
            text = self._index["text"][row].as_py()
            if text is None:
                continue
            expected, offset = text.encode(), int(self._offsets[row])
            found = self._read(offset + -(-int(self._sizes[row]) // _BLOCK) * _BLOCK, _BLOCK + len(expected))
            if found[_BLOCK:] != expected or _size_of(found) != len(expected):
                is_shared = np.count_nonzero(self._offsets == offset) > 1  # by rows with other texts
                if not is_shared and _is_text(found[:_BLOCK], self._key(row)):
                    return f"the text of its row {row + 1} is another one in the tar"
        return ""

    def _key(self, row: int) -> str:
        key: str = self._index["key"][row].as_py()
        return key

    def _is_image(self, row: int, offset: int, size: int) -> bool:
        """Whether the recorded image lies there although its header does not say so: only the header is damaged."""
        expected = self._index[DIGEST][row].as_py() if self._has_digests else None
        return expected is not None and digest_of(self._read(offset, size)) == expected

    def _goes_on(self, last: int) -> str:
        """Whether samples follow that of the last image of the index; then it is of an older, shorter tar."""
        offset, size = int(self._offsets[last]), int(self._sizes[last])
        key = self._key(last)
        for _ in range(_AFTER_THE_LAST):
            offset += -(-size // _BLOCK) * _BLOCK
            header = self._read(offset, _BLOCK)
            if not header.strip(b"\0"):
                return ""
            if header[156:157] in _FILES and not _is_of(header, key):
                # Where the header is damaged, reading the tar would find no more.
                return "the tar has samples after the last one of it" if _is_intact(header) else ""
            offset, size = offset + _BLOCK, _size_of(header) or 0
        return ""


def _is_of(header: bytes, key: str) -> bool:
    """Whether a header names a member of the sample `key`; of a name of 100 bytes and more it holds only the start."""
    name = header[:100].rstrip(b"\0")
    folder = header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b""
    full = folder + b"/" + name if folder else name
    full = full[2:] if full.startswith(b"./") else full
    start = f"{key}.".encode(errors="replace")
    if full.startswith(start):
        return True
    starts = (start, f"{key}.".encode("ascii", "replace"))
    return any(full.startswith(start) or (len(full) >= 100 and start.startswith(full)) for start in starts)


def _size_of(header: bytes) -> int | None:
    """The size that a header states; None if it is damaged, or above 8 GiB, which no image has."""
    try:
        return int(header[124:136].rstrip(b"\0 "), 8)
    except ValueError:
        return None


def _is_text(header: bytes, key: str) -> bool:
    """Whether a header is intact, and that of the `.txt` of the sample `key`."""
    is_named = header[:100].rstrip(b"\0").endswith(b".txt") and _is_of(header, key)
    return is_named and header[156:157] in _FILES and _is_intact(header)


def _is_intact(header: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
