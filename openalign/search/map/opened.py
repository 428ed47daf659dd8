"""The map of an opened index, and which images lie in a region of it.

Shapes: N images on the map.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openalign.errors import UsageError
from openalign.options import option
from openalign.search.map.file import Cluster, MapContent, read_content

MOST_CORNERS = 200
_FARTHEST = 1e9
"""Largest coordinate of a corner: products of larger ones could be more than a float holds."""
_REGION = re.compile(r"\s*region\s*={1,2}\s*([^=].*?)\s*", re.IGNORECASE | re.DOTALL)


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

    def within(self, region: str) -> NDArray[np.int64]:
        """The rows of the images in a region, sorted.

        A region is a polygon, `x1,y1,x2,y2,x3,y3,...` in the units of `at_N2`, or the number of a cluster.

        Raises:
            UsageError: it is neither of them.
        """
        numbers = _numbers(region)
        if len(numbers) == 1:
            return self.rows_N[self._content.inside(self._cluster(numbers[0]))]
        corners = _corners(region, numbers)
        near = np.flatnonzero(((self.at_N2 >= corners.min(0)) & (self.at_N2 <= corners.max(0))).all(1))
        return self.rows_N[near[_inside(self.at_N2[near].astype(np.float64), corners)]]

    def _cluster(self, number: float) -> int:
        if number not in range(len(self.clusters)):
            raise UsageError(f"The map has no cluster {number:g}: it has {len(self.clusters)}, from 0 on.")
        return int(number)


def opened(data: bytes, version: str, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> OpenedMap:
    """The map in the bytes of its file, for an index in which the images `ids`, sorted, have these `rows`."""
    content = read_content(data)
    content = content.only(np.isin(content.ids_N, ids))
    rows_N = rows[np.searchsorted(ids, content.ids_N)]
    order = np.argsort(rows_N, kind="stable")
    content = content.only(order).counted()
    return OpenedMap(rows_N[order], content.at_N2, content.cluster_N, content.clusters, version, content)


def split_regions(conditions: Sequence[str]) -> tuple[list[str], list[str]]:
    """The regions in conditions `region=...`, and the other conditions."""
    found = [_REGION.fullmatch(condition) for condition in conditions]
    others = [condition for condition, match in zip(conditions, found, strict=True) if match is None]
    return [match[1] for match in found if match is not None], others


def _numbers(region: str) -> list[float]:
    try:
        return [float(each) for each in region.split(",")]
    except ValueError:
        raise UsageError(_not_a(region)) from None


def _not_a(region: str) -> str:
    shown = region if len(region) <= 40 else f"{region[:40]}..."
    return (
        f"{option(where=f'region={shown}')}: a region of the map is the number of a cluster, or x1,y1,x2,y2,x3,y3,... "
        f"with 3 to {MOST_CORNERS} corners."
    )


def _corners(region: str, numbers: Sequence[float]) -> NDArray[np.float64]:
    """(corners, 2)."""
    near = all(abs(number) <= _FARTHEST for number in numbers)  # not so of NaN
    if len(numbers) < 6 or len(numbers) % 2 or len(numbers) > 2 * MOST_CORNERS or not near:
        raise UsageError(_not_a(region))
    return np.array(numbers, np.float64).reshape(-1, 2)


def _inside(at_N2: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points lie inside a polygon: a ray from there to the right crosses its sides an odd number of times."""
    x_N, y_N = at_N2.T
    inside_N = np.zeros(len(at_N2), bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 != y2:
            crosses_N = (y1 > y_N) != (y2 > y_N)
            inside_N ^= crosses_N & (x_N < x1 + (y_N - y1) * ((x2 - x1) / (y2 - y1)))
    return inside_N
