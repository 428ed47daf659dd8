"""The rows that conditions were found to hold for: people ask one query after the other with a filter kept on."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_MOST_BYTES = 2**24
_MOST = 256
"""Sets of rows; their conditions are of bounded length."""


class Remembered:
    """The rows of the last conditions that were asked for, of a table that does not change; for many threads.

    Args:
        rows: row numbers lie below this.
        most_bytes: sets of rows are forgotten above it, but for the last one. A set of many rows takes a bit for each
            row of the table (125 kB at a million), one of few takes eight bytes for each of its own.
    """

    def __init__(self, rows: int, most_bytes: int = _MOST_BYTES) -> None:
        self._rows = rows
        self._most_bytes = most_bytes
        self._bytes = 0
        self._sets: OrderedDict[tuple[str, ...], NDArray[np.uint8] | Rows] = OrderedDict()
        self._lock = Lock()

    def get(self, conditions: Sequence[str]) -> Rows | None:
        """The rows, sorted, which are not to be changed; None if they are not known any more."""
        with self._lock:
            found = self._sets.get(tuple(conditions))
            if found is None:
                return None
            self._sets.move_to_end(tuple(conditions))
        return found if found.dtype == np.int64 else np.flatnonzero(np.unpackbits(found, count=self._rows))

    def put(self, conditions: Sequence[str], rows_N: Rows) -> None:
        """Remember the rows (N,), sorted and distinct."""
        kept = rows_N
        if 8 * len(rows_N) > self._rows // 8:
            is_in = np.zeros(self._rows, bool)
            is_in[rows_N] = True
            kept = np.packbits(is_in)
        kept.flags.writeable = False
        with self._lock:
            before = self._sets.pop(tuple(conditions), None)
            self._bytes += kept.nbytes - (0 if before is None else before.nbytes)
            self._sets[tuple(conditions)] = kept
            while len(self._sets) > 1 and (self._bytes > self._most_bytes or len(self._sets) > _MOST):
                self._bytes -= self._sets.popitem(last=False)[1].nbytes
