"""Positions on a plane in which rows lie beside their nearest neighbours: the map of a collection.

The layout is that of UMAP (McInnes, Healy, Melville 2018, "UMAP", sections 3 and 4): weights between neighbours, so
that each row has about the same weight in all; then neighbours attract each other, and chance pairs repel each other.
What is different makes it a few operations on whole arrays, an epoch at a time:

- All weights pull in each epoch, not a sample of them. Their step is half implicit: a row moves to the weighted mean
  of where it is and where its neighbours are, so that it never overshoots, however many have it as a neighbour.
- The rows that repel a row are those at a few chance distances behind it in one chance order: whole slices instead of
  single rows. Weighted by the row's attraction, they stand for the negative samples that UMAP draws per edge, whose
  number sets how dense clusters become (Damrich and Hamprecht 2021, "On UMAP's true loss function").
- The similarity on the plane is 1 / (1 + d²), as in Tang et al. 2016, "Visualizing large-scale and high-dimensional
  data": UMAP's curve with a = b = 1.

Shapes: N rows, D width, K neighbours, E pairs of neighbours.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from openalign.progress import bar

NEIGHBOURS = 15
_EPOCHS = 300
_REPEL = 5.0
"""Negative samples for each unit of attraction, as UMAP's."""
_SLICES = 8
"""Rows that repel a row in an epoch."""
_NEAR = 1e-3
"""Added to squared distances, so that repulsion stays finite."""
_LONGEST = 4.0
"""The largest step of repulsion."""
_SPREAD = 10.0
"""Half of the extent of the positions with which the layout begins."""


def layout(
    rows_NK: Tensor,
    distances_NK: Tensor,
    start_N2: Tensor,
    *,
    epochs: int = _EPOCHS,
    first_step: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Positions (N, 2), the same for the same arguments on one machine.

    Args:
        rows_NK: the nearest neighbours of each row, best first, and `distances_NK` their distances.
        start_N2: where to begin: `first_positions`, or a map of before.
        first_step: less than 1 keeps more of the start.
    """
    head_E, tail_E, weight_E = _weights(rows_NK, distances_NK)
    weight_N = _sums(head_E, weight_E, len(rows_NK))
    at_2N = start_N2.T.contiguous()
    chance = np.random.default_rng(seed)
    with _one_thread(), bar("lay out the map", epochs) as running:
        for epoch in range(epochs):
            step = first_step * (1 - epoch / epochs)
            pull_2N = _attraction(at_2N, head_E, tail_E, weight_E, step)
            push_2N = _repulsion(at_2N, chance) * (weight_N * (_REPEL / _SLICES))
            at_2N += step * (pull_2N + push_2N.clamp_(-_LONGEST, _LONGEST))
            running.advance()
    return at_2N.T.contiguous()


def first_positions(vectors_ND: Tensor) -> Tensor:
    """The two directions in which unit vectors vary most, scaled to the extent of a layout."""
    sample = vectors_ND[:: max(1, len(vectors_ND) // 20_000)]
    mean_D = sample.mean(0)
    centred = sample - mean_D
    _, axes_D = torch.linalg.eigh(centred.T @ centred)
    axes_D2 = axes_D[:, [-1, -2]] if axes_D.shape[1] > 1 else torch.cat([axes_D, torch.zeros_like(axes_D)], 1)
    axes_D2 = axes_D2 * torch.sign(axes_D2.gather(0, axes_D2.abs().argmax(0, keepdim=True)))
    at_N2 = (vectors_ND - mean_D) @ axes_D2
    return at_N2 * (_SPREAD / at_N2.abs().max().clamp(min=1e-12))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Operations this small gain little by more threads, and take ten times as long where other programs run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _attraction(at_2N: Tensor, head_E: Tensor, tail_E: Tensor, weight_E: Tensor, step: float) -> Tensor:
    """What neighbours add to each position (2, N) for each unit of `step`."""
    total = at_2N.shape[1]
    dx_E, dy_E = (each.index_select(0, tail_E).sub_(each.index_select(0, head_E)) for each in at_2N)
    pull_E = weight_E * 2 / (dx_E * dx_E).addcmul_(dy_E, dy_E).add_(1)
    sums_2N = torch.stack([_sums(head_E, each.mul_(pull_E), total) for each in (dx_E, dy_E)])
    return sums_2N / _sums(head_E, pull_E, total).mul_(step).add_(1)


def _repulsion(at_2N: Tensor, chance: np.random.Generator) -> Tensor:
    """The sum over `_SLICES` chance rows of the repulsion on each row (2, N)."""
    total = at_2N.shape[1]
    order_N = torch.from_numpy(chance.permutation(total))
    x_N, y_N = at_2N.index_select(1, order_N)
    others_x, others_y = torch.cat([x_N, x_N]), torch.cat([y_N, y_N])
    push_2N = torch.zeros(2, total)
    for first in chance.integers(1, total, _SLICES).tolist():
        dx_N, dy_N = x_N - others_x[first : first + total], y_N - others_y[first : first + total]
        square_N = (dx_N * dx_N).addcmul_(dy_N, dy_N)
        strength_N = 2 / (square_N + _NEAR).mul_(square_N.add_(1))
        push_2N[0].addcmul_(dx_N, strength_N)
        push_2N[1].addcmul_(dy_N, strength_N)
    return torch.empty_like(at_2N).index_copy_(1, order_N, push_2N)


def _sums(head_E: Tensor, values_E: Tensor, total: int) -> Tensor:
    """The sum of the values of each row (N,)."""
    return torch.zeros(total).index_add_(0, head_E, values_E)


def _weights(rows_NK: Tensor, distances_NK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of neighbours in both directions and their weights, three times (E,) (McInnes et al., section 3.1).

    Weights fall with the distance beyond that of the nearest neighbour, on a scale by which those of a row sum to
    log2 K. A pair that is a pair in both directions has the probability that one of them is: a + b - ab.
    """
    total, count = rows_NK.shape
    beyond_NK = distances_NK - distances_NK[:, :1]
    low_N1, high_N1 = torch.zeros(total, 1), beyond_NK.mean(1, keepdim=True).clamp(min=1e-12) * 100
    for _ in range(40):
        middle_N1 = (low_N1 + high_N1) / 2
        too_much = torch.exp(-beyond_NK / middle_N1).sum(1, keepdim=True) > math.log2(count)
        low_N1, high_N1 = torch.where(too_much, low_N1, middle_N1), torch.where(too_much, middle_N1, high_N1)
    weight_NK = torch.exp(-beyond_NK / high_N1)
    head_E = torch.arange(total).repeat_interleave(count)
    there_E, back_E = head_E * total + rows_NK.flatten(), rows_NK.flatten() * total + head_E
    keys_E, place = torch.unique(torch.cat([there_E, back_E]), return_inverse=True)
    one_E = torch.zeros(len(keys_E)).index_put_((place[: len(there_E)],), weight_NK.flatten())
    other_E = torch.zeros(len(keys_E)).index_put_((place[len(there_E) :],), weight_NK.flatten())
    return keys_E // total, keys_E % total, one_E + other_E - one_E * other_E
