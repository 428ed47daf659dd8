"""The nearest neighbours of all rows of a collection at once, for its map: exact when it is small, else by cells.

A graph (`search.graph`) answers one query after the other; here products of whole matrices are several times as fast.
With more than `_EXACT_BELOW` rows, k-means divides them into cells (an inverted file; Jégou et al. 2011, "Product
quantization for nearest neighbor search"), and the rows of a cell are compared with those of the cells whose centres
are nearest to it.

Shapes: N rows, D width, K neighbours, C cells.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openalign.progress import bar

_EXACT_BELOW = 8_000
"""Rows for which all are compared with all."""
_CELL = 500
"""Rows of a cell on average."""
_LOOKED_AT = 10
"""Cells with which the rows of a cell are compared, itself included: 97 % of the neighbours at 60,000 x 640."""
_ROUNDS = 6
"""Of k-means."""
_SAMPLE = 40
"""Rows a cell from which k-means learns."""
_AT_ONCE = 2_000
"""Rows that are compared at once."""


def neighbours(vectors_ND: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The `count` rows most similar to each row of unit vectors, best first, and their cosine distances, both (N, K).

    A row is not its own neighbour. `count` is less than N.
    """
    total = len(vectors_ND)
    if total <= _EXACT_BELOW:
        blocks = _parts(torch.arange(total), _AT_ONCE)
        pairs = [(block, torch.arange(total)) for block in blocks]
    else:
        pairs = _pairs_by_cells(vectors_ND, count, seed)
    rows_NK = torch.empty(total, count, dtype=torch.long)
    distances_NK = torch.empty(total, count)
    with bar("neighbours for the map", total) as running:
        for ours, theirs in pairs:
            found = _nearest(vectors_ND, ours, theirs, count)
            rows_NK[ours], distances_NK[ours] = found
            running.advance(len(ours))
    return rows_NK, distances_NK


def _nearest(vectors_ND: Tensor, ours: Tensor, theirs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    scores = vectors_ND[ours] @ vectors_ND[theirs].T
    scores[ours[:, None] == theirs[None, :]] = -torch.inf
    best = scores.topk(count, dim=1)
    return theirs[best.indices], (1 - best.values).clamp_(min=0)


def _pairs_by_cells(vectors_ND: Tensor, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """For each cell its rows, and the rows that may be their neighbours: always more than `count`."""
    centres_CD, cell_N = _cells(vectors_ND, seed)
    order = torch.argsort(cell_N, stable=True)
    ends_C = torch.bincount(cell_N, minlength=len(centres_CD)).cumsum(0)
    rows_of = torch.tensor_split(order, ends_C)[:-1]
    nearest_CC = (centres_CD @ centres_CD.T).argsort(dim=1, descending=True, stable=True)
    pairs = []
    for cell, ours in enumerate(rows_of):
        others = [each for each in nearest_CC[cell].tolist() if each != cell]
        looked_at = [ours]
        for other in others:
            looked_at.append(rows_of[other])
            if len(looked_at) >= _LOOKED_AT and sum(map(len, looked_at)) > count:
                break
        pairs += [(part, torch.cat(looked_at)) for part in _parts(ours, _AT_ONCE) if len(part)]
    return pairs


def _cells(vectors_ND: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Centres of unit length (C, D) by spherical k-means on a sample, and the cell of each row (N,)."""
    total = len(vectors_ND)
    cells = max(2, total // _CELL)
    chance = np.random.default_rng(seed)
    sample_SD = vectors_ND[_sorted(chance.choice(total, min(total, _SAMPLE * cells), replace=False))]
    centres_CD = sample_SD[_sorted(chance.choice(len(sample_SD), cells, replace=False))].clone()
    for _ in range(_ROUNDS):
        sums_CD = torch.zeros_like(centres_CD).index_add_(0, _nearest_cell(sample_SD, centres_CD), sample_SD)
        lengths_C1 = sums_CD.norm(dim=1, keepdim=True)
        centres_CD = torch.where(lengths_C1 > 0, sums_CD / lengths_C1.clamp(min=1e-12), centres_CD)
    return centres_CD, _nearest_cell(vectors_ND, centres_CD)


def _nearest_cell(vectors_ND: Tensor, centres_CD: Tensor) -> Tensor:
    return torch.cat([(part @ centres_CD.T).argmax(dim=1) for part in _parts(vectors_ND, 10 * _AT_ONCE)])


def _sorted(chosen: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.sort(chosen))


def _parts(tensor: Tensor, size: int) -> list[Tensor]:
    return [tensor[start : start + size] for start in range(0, len(tensor), size)]
