"""The map of an opened index, and which images lie in a region of it.

Shapes: N images on the map.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openalign.errors import UsageError
from openalign.search.map.file import Cluster, MapContent, read_content
from openalign.search.store import Store

MOST_CORNERS = 500


@dataclass(frozen=True)
class OpenedMap:
    """The map of the images that an index has."""

    rows_N: NDArray[np.int64]
    """The row of each image in the index, ascending."""
    at_N2: NDArray[np.float32]
    cluster_N: NDArray[np.int32]
    """The smallest cluster of each image, as a number in `clusters`; -1 for none."""
    clusters: tuple[Cluster, ...]
    version: str
    """Changes when the map does."""
    _content: MapContent

    def within(self, region: Sequence[float]) -> NDArray[np.int64]:
        """The rows of the images in a region, sorted.

        A region is a polygon `x1, y1, x2, y2, x3, y3, ...`, or the number of a cluster.

        Raises:
            UsageError: it is neither of them.
        """
        if len(region) == 1:
            return self.rows_N[self._content.inside(self._cluster(region[0]))]
        corners = _corners(region)
        low, high = corners.min(0), corners.max(0)
        near = np.flatnonzero(((self.at_N2 >= low) & (self.at_N2 <= high)).all(1))
        return self.rows_N[near[_inside(self.at_N2[near].astype(np.float64), corners)]]

    def _cluster(self, number: float) -> int:
        if number not in range(len(self.clusters)):
            raise UsageError(f"The map has no cluster {number:g}: it has {len(self.clusters)}, from 0 on.")
        return int(number)


def open_map(store: Store) -> OpenedMap | None:
    """The map of an index; None if it has none.

    Raises:
        DamagedIndex: the file of the map was changed.
    """
    data, meta = store.map_bytes(), store.meta.map
    if data is None or meta is None:
        return None
    content = read_content(data)
    ids, rows = store.ids()
    place_N = np.minimum(np.searchsorted(ids, content.ids_N), max(len(ids) - 1, 0))
    content = content.only(ids[place_N] == content.ids_N) if len(ids) else content.only(np.zeros(len(place_N), bool))
    rows_N = rows[np.searchsorted(ids, content.ids_N)]
    order = np.argsort(rows_N, kind="stable")
    content = content.only(order).counted()
    version = f"{meta.sha256[:16]}-{store.meta.commits}"
    return OpenedMap(rows_N[order], content.at_N2, content.cluster_N, content.clusters, version, content)


def _corners(region: Sequence[float]) -> NDArray[np.float64]:
    """(corners, 2)."""
    if len(region) < 6 or len(region) % 2 or len(region) > 2 * MOST_CORNERS or not all(map(math.isfinite, region)):
        raise UsageError(
            f"A region is the number of a cluster, or x1,y1,x2,y2,x3,y3,... with 3 to {MOST_CORNERS} corners."
        )
    return np.array(region, np.float64).reshape(-1, 2)


def _inside(at_N2: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points lie inside a polygon: a ray from there to the right crosses its sides an odd number of times."""
    x_N, y_N = at_N2.T
    inside_N = np.zeros(len(at_N2), bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 != y2:
            crosses_N = (y1 > y_N) != (y2 > y_N)
            inside_N ^= crosses_N & (x_N < x1 + (y_N - y1) * ((x2 - x1) / (y2 - y1)))
    return inside_N
