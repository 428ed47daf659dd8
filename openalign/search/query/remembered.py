"""What was found of an index and will be asked for again: it does not change while it is open.

People ask one query after the other with a filter kept on, and one query with several filters.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_MOST_BYTES = 2**24
_MOST = 1024
"""Keys are of bounded length."""


class Latest:
    """The latest arrays that were put or asked for by their keys, of up to `most_bytes`; for many threads.

    The last one is kept whatever its size. Arrays are shared, so they can no longer be written to.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Any, tuple[NDArray[Any], ...]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Any) -> tuple[NDArray[Any], ...] | None:
        """The arrays of a key; None if they are not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Any, arrays: tuple[NDArray[Any], ...]) -> None:
        """Keep the arrays of a key, in place of those that it had."""
        for array in arrays:
            array.flags.writeable = False
        with self._lock:
            self._bytes += _bytes_of(arrays) - _bytes_of(self._kept.pop(key, ()))
            self._kept[key] = arrays
            while len(self._kept) > 1 and (self._bytes > self._most_bytes or len(self._kept) > _MOST):
                self._bytes -= _bytes_of(self._kept.popitem(last=False)[1])


class RowsOfConditions:
    """The rows of the latest conditions, of a table whose row numbers lie below `rows`; for many threads.

    Many rows take a bit for each row of the table (125 kB at a million), few take eight bytes each.
    """

    def __init__(self, rows: int, most_bytes: int = _MOST_BYTES) -> None:
        self._rows = rows
        self._kept = Latest(most_bytes)

    def get(self, conditions: Sequence[str]) -> Rows | None:
        """The rows, sorted; None if they are not known any more."""
        found = self._kept.get(tuple(conditions))
        if found is None or found[0].dtype == np.int64:
            return None if found is None else found[0]
        return np.flatnonzero(np.unpackbits(found[0], count=self._rows))

    def put(self, conditions: Sequence[str], rows_N: Rows) -> None:
        """Keep the rows (N,), sorted and distinct."""
        kept: NDArray[Any] = rows_N
        if 64 * len(rows_N) > self._rows:
            is_in_R = np.zeros(self._rows, bool)
            is_in_R[rows_N] = True
            kept = np.packbits(is_in_R)
        self._kept.put(tuple(conditions), (kept,))


def _bytes_of(arrays: tuple[NDArray[Any], ...]) -> int:
    return sum(array.nbytes for array in arrays)
