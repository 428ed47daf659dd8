"""Clusters on a map: hills of the density of its points, on two levels, large ones and smaller ones in them.

A hill is a peak with all from which the way up leads to it. A peak that is little higher than the pass to a higher one
belongs to that (Chazal et al. 2013, "Persistence-based clustering in Riemannian manifolds").

Shapes: N points, G cells of a side of the grid.
"""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]

_GRID = 160
_WIDE, _NARROW = 1 / 30, 1 / 75
"""Standard deviations with which the points are blurred for the two levels, as parts of the side of the map."""
_ABOVE_PASS = 1.25
"""How many times as high as the pass to a higher peak a peak must be."""
_LEAST = 1e-3
"""Density below which nothing is a hill, as a part of the highest."""
_SMALLEST_LARGE, _SMALLEST = 0.01, 0.001
"""Least parts of all points in a cluster of each level."""
_FEWEST = 4
"""Least points of a cluster."""


def clusters(at_N2: NDArray[np.float32]) -> tuple[Labels, Labels]:
    """The cluster of each point and the parent of each cluster, (N,) and (clusters,).

    Large clusters come first, the largest at the beginning; they have the parent -1. A point that lies in no smaller
    cluster has the number of the large one, and one in neither has -1.
    """
    cells_N2 = _cells(at_N2)
    large_N = _by_size(_hills(cells_N2, _WIDE), max(_FEWEST, round(_SMALLEST_LARGE * len(at_N2))))
    small_N = _by_size(_hills(cells_N2, _NARROW), max(_FEWEST, round(_SMALLEST * len(at_N2))))
    found_N, parents = large_N.copy(), [-1] * (large_N.max(initial=-1) + 1)
    for small in range(small_N.max(initial=-1) + 1):
        inside_N = small_N == small
        around = large_N[inside_N & (large_N >= 0)]
        parent = int(np.bincount(around).argmax()) if len(around) else -1
        mine_N = inside_N & (large_N == parent)
        if parent >= 0 and _FEWEST <= mine_N.sum() < (large_N == parent).sum():
            found_N[mine_N] = len(parents)
            parents.append(parent)
    return found_N, np.array(parents, np.int64)


def _cells(at_N2: NDArray[np.float32]) -> Labels:
    """The cell of each point in a square grid; the few points far outside are in the cells at the border."""
    low, high = np.quantile(at_N2, 0.002, axis=0), np.quantile(at_N2, 0.998, axis=0)
    side = max(float((high - low).max()), 1e-9) * 1.1
    corner = (low + high - side) / 2
    cells_N2: Labels = np.clip(((at_N2 - corner) / side * _GRID).astype(np.int64), 0, _GRID - 1)
    return cells_N2


def _hills(cells_N2: Labels, blur: float) -> Labels:
    """The number of the hill on which each point lies (N,); -1 for none."""
    flat_N = cells_N2[:, 0] * _GRID + cells_N2[:, 1]
    counts_GG = np.bincount(flat_N, minlength=_GRID * _GRID).reshape(_GRID, _GRID)
    away_GG = (np.arange(_GRID)[:, None] - np.arange(_GRID)) / (blur * _GRID)
    blurred_GG: NDArray[np.float64] = np.exp(-(away_GG**2) / 2)
    hills_N: Labels = _peak_of_cells(blurred_GG @ counts_GG @ blurred_GG)[flat_N]
    return hills_N


def _peak_of_cells(height_GG: NDArray[np.float64]) -> Labels:
    """The cell of the peak that each cell belongs to, (G * G,); -1 where it is low."""
    framed = np.zeros((_GRID + 2, _GRID + 2))
    framed[1:-1, 1:-1] = height_GG
    width, heights = _GRID + 2, framed.ravel()
    around = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    order = np.argsort(-heights, kind="stable")
    order = order[heights[order] > _LEAST * heights.max()]
    height, above = heights.tolist(), [-1] * len(heights)  # lists: a loop over single cells is faster with them
    for cell in order.tolist():
        peaks = {_top(above, cell + step) for step in around if above[cell + step] >= 0}
        highest = max(peaks, key=lambda peak: (height[peak], -peak), default=cell)
        above[cell] = highest
        for peak in peaks:
            if height[peak] < _ABOVE_PASS * height[cell]:
                above[peak] = highest
    tops = np.full(len(heights), -1)
    tops[order] = [_top(above, cell) for cell in order.tolist()]
    return tops.reshape(width, width)[1:-1, 1:-1].ravel()


def _top(above: list[int], cell: int) -> int:
    """The peak over a cell; the way there becomes shorter for the next one."""
    while above[cell] != cell:
        above[cell] = above[above[cell]]
        cell = above[cell]
    return cell


def _by_size(labels_N: Labels, smallest: int) -> Labels:
    """Numbers from 0 on, for the largest first; -1 for what has fewer than `smallest` points."""
    known, place_N, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    numbers = np.full(len(known), -1)
    order = [each for each in np.argsort(-counts, kind="stable") if known[each] >= 0 and counts[each] >= smallest]
    numbers[order] = np.arange(len(order))
    return numbers[place_N]
