"""Check values, by which any changed byte of an index is noticed when what it belongs to is read."""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def check_of(*values: object) -> int:
    """The CRC-32 of some values of a row."""
    return zlib.crc32(repr(values).encode("utf-8", "backslashreplace"))


def check_of_thumbnail(jpeg: bytes, digest: bytes) -> int:
    """The CRC-32 of a thumbnail, which depends on the image that it belongs to."""
    return zlib.crc32(jpeg, zlib.crc32(digest))


def check_of_rows(rows_N: NDArray[np.int64]) -> int:
    """The CRC-32 of row numbers."""
    return zlib.crc32(np.ascontiguousarray(rows_N, "<i8").tobytes())


def check_of_lines(lines: Iterable[str]) -> int:
    """The CRC-32 of texts in this order."""
    value = 0
    for line in lines:
        value = zlib.crc32(line.encode("utf-8", "backslashreplace") + b"\n", value)
    return value


def check_of_groups(leaders: Sequence[tuple[int, int]]) -> int:
    """The check value of (id, leader), by id; of values that are no integers, one that nothing has."""
    if not all(isinstance(value, int) for each in leaders for value in each):
        return -1
    return check_of_rows(np.array(leaders, np.int64).ravel())
