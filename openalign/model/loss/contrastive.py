"""The normalised-softmax contrastive loss (paper section 4.1), without ever holding the N x N matrix of logits.

Row and column log-sum-exps are streamed tile by tile and recomputed in the backward pass (`tiles.py`, or `triton.py` on
NVIDIA GPUs): memory is O(N D). The targets are linear in the logits and need only sums of embeddings.
Shapes: N pairs of the whole batch, n of this process (n = N in a run of one process), D embedding width.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from openalign.errors import OpenAlignError
from openalign.model.loss import tiles
from openalign.model.loss.batch import Positives, SharedBatch, processes_of

UNIT_TOLERANCE = 1e-2  # squared norms of bf16 unit rows are off by less than this


def contrastive_loss(
    images_ND: Tensor,
    texts_ND: Tensor,
    temperature: Tensor | float,
    label_smoothing: float = 0.1,
    *,
    image_ids_N: Tensor | None = None,
    text_ids_N: Tensor | None = None,
    group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Image-to-text plus text-to-image cross-entropy over in-batch negatives: the sum of both, not their mean.

    With z_ij = x_i . y_j / t, positives P_i of pair i and smoothing e, each direction is the mean over i of
    logsumexp_j z_ij - (1 - e) mean_{j in P_i} z_ij - e mean_j z_ij. P_i is i itself and, if ids are given, every pair
    of equal text or equal image.

    Args:
        images_ND: unit rows, shape (N, D), N >= 2.
        texts_ND: unit rows, shape (N, D); row i is the text of image i.
        temperature: positive scalar; a tensor to learn it.
        label_smoothing: share of the target spread evenly over all N (0.1 in the paper).
        image_ids_N, text_ids_N: int64, shape (N,), equal where the image or the text is.
        group: the processes that share the batch. Each passes its own n rows, equally many, of the N = n * processes.

    Returns:
        A float32 scalar (float64 for float64 inputs), differentiable once. In a group it is the loss of the whole
        batch, with derivatives in this process's rows and this process's part of the derivative in the temperature:
        sum gradients of parameters over the processes, do not average them.

    Raises:
        OpenAlignError: in every process of a group if in one of them shapes or ids do not match, N < 2, rows are not
            finite unit vectors, or the temperature is not positive.
    """
    dtype = torch.float64 if images_ND.dtype == torch.float64 else torch.float32
    temperature = torch.as_tensor(temperature, dtype=dtype, device=images_ND.device)
    ids = _Ids(image_ids_N, text_ids_N)
    _check(_problem(images_ND, texts_ND, temperature, label_smoothing, ids, group), images_ND, texts_ND, ids, group)
    images_ND, texts_ND, shared = images_ND.to(dtype), texts_ND.to(dtype), SharedBatch(group)
    positives, scalar = ids.positives(shared, dtype), temperature.reshape(())
    return _Contrastive.apply(images_ND, texts_ND, scalar, label_smoothing, positives, shared)  # type: ignore[no-any-return, no-untyped-call]


@dataclass(frozen=True)
class _Ids:
    """Ids of this process's rows, each (n,) or None, equal where the images or the texts are."""

    images_n: Tensor | None
    texts_n: Tensor | None

    def positives(self, shared: SharedBatch, dtype: torch.dtype) -> Positives | None:
        """The positives of the whole batch; None if there are no ids."""
        given = [ids_n for ids_n in (self.images_n, self.texts_n) if ids_n is not None]
        return Positives.of(given, shared, dtype) if given else None


def _problem(
    images_nD: Tensor,
    texts_nD: Tensor,
    temperature: Tensor,
    label_smoothing: float,
    ids: _Ids,
    group: dist.ProcessGroup | None,
) -> str | None:
    """What is wrong with the inputs of this process."""
    if images_nD.ndim != 2 or images_nD.shape != texts_nD.shape:
        shapes = f"{tuple(images_nD.shape)} and {tuple(texts_nD.shape)}"
        return f"Image and text embeddings must both have shape (N, D), not {shapes}."
    if len(images_nD) * processes_of(group) < 2:
        return "The contrastive loss needs at least 2 pairs in a batch: one pair has no negatives."
    if not 0.0 <= label_smoothing < 1.0:
        return f"Label smoothing must lie in [0, 1), not {label_smoothing}."
    if temperature.numel() != 1:
        return f"The temperature must be one number, not a tensor of shape {tuple(temperature.shape)}."
    if not (temperature.detach() > 0):
        return f"The temperature must be positive, not {float(temperature.detach())}."
    for name, ids_n in (("image", ids.images_n), ("text", ids.texts_n)):
        if ids_n is not None and (ids_n.shape != images_nD.shape[:1] or ids_n.dtype != torch.int64):
            return f"The {name} ids must be int64 of shape ({len(images_nD)},), not {ids_n.dtype} {tuple(ids_n.shape)}."
    for name, rows_nD in (("image", images_nD), ("text", texts_nD)):
        stray = (rows_nD.detach().float().square().sum(1) - 1.0).abs().amax()
        if not (stray <= UNIT_TOLERANCE):  # also catches NaN
            return f"The {name} embeddings must be finite unit vectors; a squared norm is off by {float(stray):.3g}."
    return None


def _check(
    problem: str | None, images_nD: Tensor, texts_nD: Tensor, ids: _Ids, group: dist.ProcessGroup | None
) -> None:
    """Raise the problem of this or any other process: if one raised alone, the others would wait for it."""
    if group is not None:
        # These must be equal everywhere, or a later collective would hang: the maximum of each value and its negative.
        given = (
            *(images_nD.shape if images_nD.ndim == 2 else (0, 0)),
            *(rows.element_size() for rows in (images_nD, texts_nD)),
            *(int(found is not None) for found in (ids.images_n, ids.texts_n)),
        )
        flags = torch.tensor([problem is not None, *given, *(-value for value in given)], device=images_nD.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX, group=group)
        elsewhere, *extremes = flags.tolist()
        most, fewest = extremes[: len(given)], [-value for value in extremes[len(given) :]]
        if problem is None and most != fewest:
            problem = _difference(most, fewest)
        if problem is None and elsewhere:
            problem = "Another process of the group was given embeddings that cannot be used; see its message."
    if problem is not None:
        raise OpenAlignError(problem)


def _difference(most: list[int], fewest: list[int]) -> str:
    """What differs between processes."""
    if most[0] != fewest[0]:
        return f"Every process must give equally many pairs; they gave between {fewest[0]} and {most[0]}."
    return "Every process must give embeddings of one width and dtype, and the same kinds of ids; they differ."


def _target_sums(rows_ND: Tensor, positives: Positives | None) -> Tensor:
    """For each pair the sum over its positives j of (1/|P_i| + 1/|P_j|) rows_j: the targets of both directions."""
    if positives is None:
        return 2.0 * rows_ND
    share_N1 = positives.share_N1
    return share_N1 * positives.sum(rows_ND) + positives.sum(share_N1 * rows_ND)


class _Contrastive(torch.autograd.Function):
    """Forward: log-sum-exps and targets. Backward: dL/dz_ij = (row softmax + column softmax - targets) / N, the
    softmaxes tile by tile, the targets without a matrix."""

    @staticmethod
    def forward(
        ctx: Any,
        x_nD: Tensor,
        y_nD: Tensor,
        temperature: Tensor,
        smoothing: float,
        positives: Positives | None,
        shared: SharedBatch,
    ) -> Tensor:
        y_ND = shared.gathered(y_nD)
        count = len(y_ND)
        with _full_precision(x_nD):
            rows_n, columns_N = _sums_for(x_nD).log_sum_exps(x_nD, y_ND, float(temperature))
        columns_N = shared.log_sum(columns_N)
        targets_nD = (1.0 - smoothing) * shared.own(_target_sums(y_ND, positives)) + 2.0 * smoothing * y_ND.mean(0)
        own = rows_n.sum() - (x_nD * targets_nD).sum() / temperature
        ctx.save_for_backward(x_nD, y_ND, temperature, rows_n, columns_N, targets_nD)
        ctx.smoothing, ctx.positives, ctx.shared = smoothing, positives, shared
        return ((shared.summed(own) + columns_N.sum()) / count).to(temperature.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        x_nD, y_ND, temperature, rows_n, columns_N, targets_nD = ctx.saved_tensors
        shared, count = ctx.shared, len(y_ND)
        with _full_precision(x_nD):
            dx_nD, dy_ND = _sums_for(x_nD).softmax_sums(x_nD, y_ND, float(temperature), rows_n, columns_N)
        dx_nD -= targets_nD
        # Each process adds the gradient of all texts with respect to its own images.
        x_ND = x_nD
        if len(x_nD) != count:
            x_ND = torch.zeros_like(y_ND)
            shared.own(x_ND).copy_(x_nD)
        dy_ND -= (1.0 - ctx.smoothing) * _target_sums(x_ND, ctx.positives)
        dy_ND -= 2.0 * ctx.smoothing / count * x_nD.sum(0)
        scale = grad / (count * temperature)
        dx_nD *= scale
        dy_nD = shared.own_sum(dy_ND) * scale
        # sum_ij dL/dz_ij z_ij = sum_i x_i . dL/dx_i, so the temperature needs no matrix either.
        return dx_nD, dy_nD, -(x_nD * dx_nD).sum() / temperature, None, None, None


def _full_precision(rows: Tensor) -> torch.autocast:
    """Disables a caller's autocast, which would compute the products in half precision."""
    return torch.autocast(rows.device.type, enabled=False)


def _sums_for(rows: Tensor) -> ModuleType:
    """The implementation: Triton kernels for float32 on an NVIDIA GPU with TF32, else tiles in PyTorch."""
    if (
        rows.is_cuda
        and rows.dtype == torch.float32
        and torch.version.hip is None
        and torch.cuda.get_device_capability(rows.device) >= (8, 0)
        and find_spec("triton") is not None
    ):
        return import_module("openalign.model.loss.triton")
    return tiles
