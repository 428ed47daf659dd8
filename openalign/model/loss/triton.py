# mypy: disable-error-code="import-not-found, untyped-decorator, no-untyped-def, no-untyped-call, misc"
"""The loss's sums over the matrix of logits on NVIDIA GPUs: the counterpart of `tiles.py`, two Triton kernels.

A program computes one K x L tile of z = x y' / t in registers. Forward it stores only the tile's log-sum-exps, backward
the tile's softmaxes, in a strip of rows that cuBLAS multiplies with the embeddings. There are no atomic additions:
equal inputs give equal bits. Products are split into three TF32 products, which is as exact as float32.

n rows of x, N of y, D the embedding width, S the rows of a strip.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE_K = tl.constexpr(128)
TILE_L = tl.constexpr(128)
TILE_D = tl.constexpr(32)
STRIP = 1024  # rows: the strip of softmaxes has S N numbers, about as many as the embeddings and their gradients
WARPS = 8  # with these tiles no register spills on an H100


def log_sum_exps(x_nD: Tensor, y_ND: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Over z = x y' / t: the log-sum-exps of its rows (n,), and of its columns (N,)."""
    x_nD, y_ND = x_nD.contiguous(), y_ND.contiguous()
    rows_n = x_nD.new_empty(len(x_nD))
    columns_N = x_nD.new_full((len(y_ND),), -torch.inf)
    for top in range(0, len(x_nD), STRIP):
        x_SD = x_nD[top : top + STRIP]
        grid = _grid(x_SD, y_ND)
        of_rows_SL = x_nD.new_empty(len(x_SD), grid[1])
        of_columns_KN = x_nD.new_empty(grid[0], len(y_ND))
        with torch.cuda.device_of(x_nD):
            _log_sum_exps_of_tile[grid](
                x_SD, y_ND, of_rows_SL, of_columns_KN, len(x_SD), len(y_ND), 1.0 / temperature, x_nD.shape[1],
                num_warps=WARPS,
            )  # fmt: skip
        rows_n[top : top + STRIP] = of_rows_SL.logsumexp(1)
        columns_N = torch.logaddexp(columns_N, of_columns_KN.logsumexp(0))
    return rows_n, columns_N


def softmax_sums(
    x_nD: Tensor, y_ND: Tensor, temperature: float, rows_n: Tensor, columns_N: Tensor
) -> tuple[Tensor, Tensor]:
    """With p the row softmax plus the column softmax of z: p y (n, D), and p' x (N, D)."""
    x_nD, y_ND = x_nD.contiguous(), y_ND.contiguous()
    dx_nD, dy_ND = torch.empty_like(x_nD), torch.zeros_like(y_ND)
    strip_SN = x_nD.new_empty(min(STRIP, len(x_nD)), len(y_ND))
    for top in range(0, len(x_nD), STRIP):
        strip = slice(top, top + STRIP)
        x_SD = x_nD[strip]
        p_SN = strip_SN[: len(x_SD)]
        with torch.cuda.device_of(x_nD):
            _softmaxes_of_tile[_grid(x_SD, y_ND)](
                x_SD, y_ND, rows_n[strip], columns_N, p_SN, len(x_SD), len(y_ND), 1.0 / temperature, x_nD.shape[1],
                num_warps=WARPS,
            )  # fmt: skip
        torch.mm(p_SN, y_ND, out=dx_nD[strip])
        dy_ND.addmm_(p_SN.T, x_SD)
    return dx_nD, dy_ND


def _grid(x_SD: Tensor, y_ND: Tensor) -> tuple[int, int]:
    return triton.cdiv(len(x_SD), TILE_K.value), triton.cdiv(len(y_ND), TILE_L.value)


@triton.jit
def _logits_of_tile(x_ptr, y_ptr, rows_K, columns_L, row_count, column_count, scale, WIDTH: tl.constexpr):
    """z of one tile, -inf outside the matrix."""
    z_KL = tl.zeros((TILE_K, TILE_L), tl.float32)
    for start in range(0, WIDTH, TILE_D):
        at_D = start + tl.arange(0, TILE_D)
        x_KD = tl.load(
            x_ptr + rows_K.to(tl.int64)[:, None] * WIDTH + at_D[None, :],
            mask=(rows_K < row_count)[:, None] & (at_D < WIDTH)[None, :],
            other=0.0,
        )
        y_DL = tl.load(
            y_ptr + columns_L.to(tl.int64)[None, :] * WIDTH + at_D[:, None],
            mask=(columns_L < column_count)[None, :] & (at_D < WIDTH)[:, None],
            other=0.0,
        )
        z_KL = tl.dot(x_KD, y_DL, z_KL, input_precision="tf32x3")
    inside_KL = (rows_K < row_count)[:, None] & (columns_L < column_count)[None, :]
    return tl.where(inside_KL, z_KL * scale, float("-inf"))


@triton.jit
def _log_sum_exps_of_tile(
    x_ptr, y_ptr, of_rows_ptr, of_columns_ptr, row_count, column_count, scale, WIDTH: tl.constexpr
):
    """of_rows[i, tile column] and of_columns[tile row, j]: a maximum of its own for each, so nothing under- or
    overflows at any temperature."""
    rows_K = tl.program_id(0) * TILE_K + tl.arange(0, TILE_K)
    columns_L = tl.program_id(1) * TILE_L + tl.arange(0, TILE_L)
    z_KL = _logits_of_tile(x_ptr, y_ptr, rows_K, columns_L, row_count, column_count, scale, WIDTH)
    most_K = tl.max(z_KL, 1)
    of_rows_K = most_K + tl.log(tl.sum(tl.exp(z_KL - most_K[:, None]), 1))
    tl.store(of_rows_ptr + rows_K * tl.num_programs(1) + tl.program_id(1), of_rows_K, mask=rows_K < row_count)
    most_L = tl.max(z_KL, 0)
    of_columns_L = most_L + tl.log(tl.sum(tl.exp(z_KL - most_L[None, :]), 0))
    tl.store(
        of_columns_ptr + tl.program_id(0).to(tl.int64) * column_count + columns_L,
        of_columns_L,
        mask=columns_L < column_count,
    )


@triton.jit
def _softmaxes_of_tile(x_ptr, y_ptr, rows_ptr, columns_ptr, p_ptr, row_count, column_count, scale, WIDTH: tl.constexpr):
    """p[i, j] = exp(z - log-sum-exp of row i) + exp(z - log-sum-exp of column j)."""
    rows_K = tl.program_id(0) * TILE_K + tl.arange(0, TILE_K)
    columns_L = tl.program_id(1) * TILE_L + tl.arange(0, TILE_L)
    z_KL = _logits_of_tile(x_ptr, y_ptr, rows_K, columns_L, row_count, column_count, scale, WIDTH)
    of_rows_K = tl.load(rows_ptr + rows_K, mask=rows_K < row_count, other=0.0)
    of_columns_L = tl.load(columns_ptr + columns_L, mask=columns_L < column_count, other=0.0)
    p_KL = tl.exp(z_KL - of_rows_K[:, None]) + tl.exp(z_KL - of_columns_L[None, :])
    tl.store(
        p_ptr + rows_K.to(tl.int64)[:, None] * column_count + columns_L[None, :],
        p_KL,
        mask=(rows_K < row_count)[:, None] & (columns_L < column_count)[None, :],
    )
