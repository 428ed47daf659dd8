"""Which images of an index are near-duplicates of each other (`openalign.search.derived` finds them)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Groups:
    """The groups of near-duplicates; an image that has none is a group of its own."""

    numbers: Mapping[int, int] = field(default_factory=dict)
    """The first row of the group, for each row that has near-duplicates."""
    members: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    """The rows of each group, sorted, by the first of them."""

    @classmethod
    def from_leaders(cls, rows_N: NDArray[np.int64], leaders_N: NDArray[np.int64]) -> "Groups":
        """The groups of rows (N,) that have the same leader (N,)."""
        order = np.lexsort((rows_N, leaders_N))
        rows, leaders = rows_N[order], leaders_N[order]
        parts = np.split(rows, np.flatnonzero(np.diff(leaders)) + 1) if len(rows) else []
        members = {int(part[0]): part for part in parts}
        return cls({int(row): first for first, part in members.items() for row in part}, members)

    def of(self, row: int) -> int:
        """The number of the group of a row."""
        return self.numbers.get(row, row)

    def with_row(self, row: int) -> NDArray[np.int64]:
        """All rows of the group of a row, itself among them, sorted."""
        return self.members.get(self.of(row), np.array([row], np.int64))
