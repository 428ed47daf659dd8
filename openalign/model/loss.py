"""The normalised-softmax contrastive loss (paper section 4.1), without ever holding the N x N matrix of logits.

Row and column log-sum-exps are streamed in blocks of rows and recomputed in the backward pass: memory is O(N D).
Shapes: N pairs, D embedding width, K rows of one block.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from openalign.errors import OpenAlignError

BLOCK_ROWS = 1024
UNIT_TOLERANCE = 1e-2  # squared norms of bf16 unit rows stray by less than this


def contrastive_loss(
    images_ND: Tensor, texts_ND: Tensor, temperature: Tensor | float, label_smoothing: float = 0.1
) -> Tensor:
    """Image-to-text plus text-to-image cross-entropy over in-batch negatives: the sum of both, not their mean.

    With z_ij = x_i . y_j / t and smoothing e, each direction is the mean over i of
    logsumexp_j z_ij - (1 - e) z_ii - e mean_j z_ij, and mean_j z_ij is one dot product: x_i . mean(y) / t.

    Args:
        images_ND: unit rows, shape (N, D), N >= 2.
        texts_ND: unit rows, shape (N, D); row i is the text of image i.
        temperature: positive scalar; a tensor to learn it.
        label_smoothing: share of the target spread evenly over all N (0.1 in the paper).

    Returns:
        A float32 scalar (float64 for float64 inputs), differentiable once in both embeddings and the temperature.

    Raises:
        OpenAlignError: shapes that differ, N < 2, rows that are not finite unit vectors, a temperature <= 0.
    """
    _check(images_ND, texts_ND, label_smoothing)
    dtype = torch.float64 if images_ND.dtype == torch.float64 else torch.float32
    temperature = torch.as_tensor(temperature, dtype=dtype, device=images_ND.device)
    if not (temperature.detach() > 0):
        raise OpenAlignError(f"The temperature must be positive, not {float(temperature.detach())}.")
    loss: Tensor = _Contrastive.apply(images_ND.to(dtype), texts_ND.to(dtype), temperature, label_smoothing)  # type: ignore[no-untyped-call]
    return loss


def _check(images_ND: Tensor, texts_ND: Tensor, label_smoothing: float) -> None:
    if images_ND.ndim != 2 or images_ND.shape != texts_ND.shape:
        raise OpenAlignError(
            f"Image and text embeddings must both have shape (N, D), "
            f"not {tuple(images_ND.shape)} and {tuple(texts_ND.shape)}."
        )
    if len(images_ND) < 2:
        raise OpenAlignError("The contrastive loss needs at least 2 pairs in a batch: one pair has no negatives.")
    if not 0.0 <= label_smoothing < 1.0:
        raise OpenAlignError(f"Label smoothing must lie in [0, 1), not {label_smoothing}.")
    for name, rows_ND in (("image", images_ND), ("text", texts_ND)):
        stray = (rows_ND.detach().float().square().sum(1) - 1.0).abs().max()
        if not (stray <= UNIT_TOLERANCE):  # also catches NaN
            raise OpenAlignError(
                f"The {name} embeddings must be finite unit vectors; a squared norm is off by {float(stray):.3g}."
            )


class _Contrastive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, y_ND: Tensor, temperature: Tensor, smoothing: float) -> Tensor:
        count = len(x_ND)
        rows_N = x_ND.new_empty(count)
        columns_N = x_ND.new_full((count,), -math.inf)
        for start in range(0, count, BLOCK_ROWS):
            z_KN = (x_ND[start : start + BLOCK_ROWS] @ y_ND.T).div_(temperature)
            rows_N[start : start + BLOCK_ROWS] = z_KN.logsumexp(1)
            columns_N = torch.logaddexp(columns_N, z_KN.logsumexp(0))
        matched = (x_ND * y_ND).sum() / temperature
        mean_z = (x_ND.sum(0) @ y_ND.sum(0)) / count / temperature
        ctx.save_for_backward(x_ND, y_ND, temperature, rows_N, columns_N)
        ctx.smoothing = smoothing
        targets = (1.0 - smoothing) * matched + smoothing * mean_z
        return (rows_N.sum() + columns_N.sum() - 2.0 * targets) / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x_ND, y_ND, temperature, rows_N, columns_N = ctx.saved_tensors
        count, smoothing = len(x_ND), ctx.smoothing
        # dL/dz_ij = (softmax over row i + softmax over column j - 2 (1 - e) [i = j] - 2 e / N) / N; the two last
        # terms need no matrix.
        dx_ND = -2.0 * ((1.0 - smoothing) * y_ND + smoothing * y_ND.mean(0))
        dy_ND = -2.0 * ((1.0 - smoothing) * x_ND + smoothing * x_ND.mean(0))
        for start in range(0, count, BLOCK_ROWS):
            x_KD = x_ND[start : start + BLOCK_ROWS]
            z_KN = (x_KD @ y_ND.T).div_(temperature)
            p_KN = (z_KN - rows_N[start : start + BLOCK_ROWS, None]).exp_()
            p_KN += z_KN.sub_(columns_N).exp_()
            dx_ND[start : start + BLOCK_ROWS] += p_KN @ y_ND
            dy_ND.addmm_(p_KN.T, x_KD)
        scale = grad / (count * temperature)
        dx_ND *= scale
        dy_ND *= scale
        # sum_ij dL/dz_ij z_ij = sum_i x_i . dL/dx_i, so the temperature needs no matrix either.
        dtemperature = -(x_ND * dx_ND).sum() / temperature
        return dx_ND, dy_ND, dtemperature, None
