"""The loss's sums over the matrix of logits z = x y' / t, tile by tile; `triton.py` has the same for NVIDIA GPUs.

n rows of x, N of y, D the embedding width, K x L one tile.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

TILE = 2048  # side of a tile of logits, the fastest of 512, 1,024 and 2,048 at N = 4,096 on two cores
PLAIN_EXPONENT = 64.0  # exp(z) and sums of a million of them fit a float32 up to here, without subtracting a maximum


def log_sum_exps(x_nD: Tensor, y_ND: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Over z = x y' / t: the log-sum-exps of its rows (n,), and of its columns (N,)."""
    x_nD = x_nD / temperature
    if 1.0 / temperature <= PLAIN_EXPONENT:
        row_sums_n, column_sums_N = x_nD.new_zeros(len(x_nD)), x_nD.new_zeros(len(y_ND))
        buffer_KL = _tile_buffer(x_nD)
        for rows, columns in _tiles(len(x_nD), len(y_ND)):
            e_KL = _product(x_nD[rows], y_ND[columns], buffer_KL).exp_()
            row_sums_n[rows] += e_KL.sum(1)
            column_sums_N[columns] += e_KL.sum(0)
        # The backward pass takes their exponentials: float32 logarithms near 1/t would lose a factor 1/t of precision.
        return row_sums_n.double().log_(), column_sums_N.double().log_()
    rows_n, columns_N = x_nD.new_full((len(x_nD),), -math.inf), x_nD.new_full((len(y_ND),), -math.inf)
    for rows, columns in _tiles(len(x_nD), len(y_ND)):
        z_KL = x_nD[rows] @ y_ND[columns].T
        rows_n[rows] = torch.logaddexp(rows_n[rows], z_KL.logsumexp(1))
        columns_N[columns] = torch.logaddexp(columns_N[columns], z_KL.logsumexp(0))
    return rows_n, columns_N


def softmax_sums(
    x_nD: Tensor, y_ND: Tensor, temperature: float, rows_n: Tensor, columns_N: Tensor
) -> tuple[Tensor, Tensor]:
    """With p the row softmax plus the column softmax of z: p y (n, D), and p' x (N, D)."""
    scaled_nD = x_nD / temperature
    dx_nD, dy_ND = torch.zeros_like(x_nD), torch.zeros_like(y_ND)
    plain = 1.0 / temperature <= PLAIN_EXPONENT
    by_row_n, by_column_N = rows_n, columns_N
    if plain:
        by_row_n, by_column_N = ((-logs).exp().to(x_nD.dtype) for logs in (rows_n, columns_N))
    buffer_KL, weights_KL = _tile_buffer(x_nD), _tile_buffer(x_nD)
    for rows, columns in _tiles(len(x_nD), len(y_ND)):
        z_KL = _product(scaled_nD[rows], y_ND[columns], buffer_KL)
        if plain:
            weight_KL = weights_KL[: z_KL.shape[0], : z_KL.shape[1]]
            torch.add(by_row_n[rows, None], by_column_N[columns], out=weight_KL)
            p_KL = z_KL.exp_().mul_(weight_KL)
        else:
            p_KL = (z_KL - by_row_n[rows, None]).exp_()
            p_KL += z_KL.sub_(by_column_N[columns]).exp_()
        dx_nD[rows].addmm_(p_KL, y_ND[columns])
        dy_ND[columns].addmm_(p_KL.T, x_nD[rows])
    return dx_nD, dy_ND


def _tile_buffer(rows: Tensor) -> Tensor:
    """A buffer for one tile, reused for all."""
    return rows.new_empty(TILE, TILE)


def _product(x_KD: Tensor, y_LD: Tensor, buffer_KL: Tensor) -> Tensor:
    """x y', written into the buffer of a tile."""
    return torch.mm(x_KD, y_LD.T, out=buffer_KL[: len(x_KD), : len(y_LD)])


def _tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, rows, TILE):
        for left in range(0, columns, TILE):
            yield slice(top, top + TILE), slice(left, left + TILE)
