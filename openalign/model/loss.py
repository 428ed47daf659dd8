"""The normalised-softmax contrastive loss (paper section 4.1), without ever holding the N x N matrix of logits.

Row and column log-sum-exps are streamed tile by tile and recomputed in the backward pass: memory is O(N D). What is
linear in the logits, the targets, needs sums of embeddings only. On NVIDIA GPUs with Triton the tiles are those of
`loss_triton.py`. Shapes: N pairs of the whole batch, n of this process (all of them in a run of one process), D
embedding width, K x L one tile.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from openalign.errors import OpenAlignError

TILE = 2048  # side of a tile of logits, the fastest of 512, 1,024 and 2,048 at N = 4,096 on two cores
UNIT_TOLERANCE = 1e-2  # squared norms of bf16 unit rows stray by less than this
PLAIN_EXPONENT = 64.0  # up to here exp(z) and sums of a million of them fit a float32 without subtracting a maximum


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
    logsumexp_j z_ij - (1 - e) mean_{j in P_i} z_ij - e mean_j z_ij. P_i is i itself, and where ids are given every pair
    of equal text or equal image too.

    Args:
        images_ND: unit rows, shape (N, D), N >= 2.
        texts_ND: unit rows, shape (N, D); row i is the text of image i.
        temperature: positive scalar; a tensor to learn it.
        label_smoothing: share of the target spread evenly over all N (0.1 in the paper).
        image_ids_N, text_ids_N: int64, shape (N,), equal where the image or the text is.
        group: the processes that share the batch. Each gives its own n rows, equally many, of the N = n * processes.

    Returns:
        A float32 scalar (float64 for float64 inputs), differentiable once in both embeddings and the temperature. In a
        group every process gets the loss of the whole batch, its derivative in its own rows, and its own part of the
        derivative in the temperature: gradients of parameters are to be summed over the processes, not averaged.

    Raises:
        OpenAlignError: shapes that differ, N < 2, rows that are not finite unit vectors, a temperature <= 0, ids that
            do not fit. In a group every process raises when one of them does.
    """
    dtype = torch.float64 if images_ND.dtype == torch.float64 else torch.float32
    temperature = torch.as_tensor(temperature, dtype=dtype, device=images_ND.device)
    ids = _Ids(image_ids_N, text_ids_N)
    problem = _problem(images_ND, texts_ND, temperature, label_smoothing, ids, group)
    _check(problem, images_ND, texts_ND, ids, group)
    shared = _Shared(group)
    positives = _Positives.of(ids, shared, dtype) if image_ids_N is not None or text_ids_N is not None else None
    loss: Tensor = _Contrastive.apply(  # type: ignore[no-untyped-call]
        images_ND.to(dtype), texts_ND.to(dtype), temperature.reshape(()), label_smoothing, positives, shared
    )
    return loss


@dataclass(frozen=True)
class _Ids:
    """What tells equal images and equal texts of this process's rows, each (n,) or None."""

    images_n: Tensor | None
    texts_n: Tensor | None


def _problem(
    images_nD: Tensor,
    texts_nD: Tensor,
    temperature: Tensor,
    label_smoothing: float,
    ids: _Ids,
    group: dist.ProcessGroup | None,
) -> str | None:
    """What is wrong with the inputs of this process, in a sentence."""
    if images_nD.ndim != 2 or images_nD.shape != texts_nD.shape:
        shapes = f"{tuple(images_nD.shape)} and {tuple(texts_nD.shape)}"
        return f"Image and text embeddings must both have shape (N, D), not {shapes}."
    if len(images_nD) * _size(group) < 2:
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
    """Raise what is wrong here or in any other process: one that raised alone would leave the others waiting."""
    if group is not None:
        # What must be alike everywhere, or an exchange further on would never end: a maximum of each and its negative.
        given = (
            *(images_nD.shape if images_nD.ndim == 2 else (0, 0)),
            *(rows.element_size() for rows in (images_nD, texts_nD)),
            *(int(found is not None) for found in (ids.images_n, ids.texts_n)),
        )
        verdict = torch.tensor([problem is not None, *given, *(-value for value in given)], device=images_nD.device)
        dist.all_reduce(verdict, op=dist.ReduceOp.MAX, group=group)
        elsewhere, *extremes = verdict.tolist()
        most, fewest = extremes[: len(given)], [-value for value in extremes[len(given) :]]
        if problem is None and most != fewest:
            problem = _difference(most, fewest)
        if problem is None and elsewhere:
            problem = "Another process of the group was given embeddings that cannot be used; see its message."
    if problem is not None:
        raise OpenAlignError(problem)


def _difference(most: list[int], fewest: list[int]) -> str:
    """What differs between processes, in a sentence."""
    if most[0] != fewest[0]:
        return f"Every process must give equally many pairs; they gave between {fewest[0]} and {most[0]}."
    return "Every process must give embeddings of one width and dtype, and the same kinds of ids; they differ."


def _size(group: dist.ProcessGroup | None) -> int:
    return 1 if group is None else dist.get_world_size(group)


class _Shared:
    """The batch as its processes share it; in a run of one process everything is already here."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self._group = group
        self._processes = _size(group)
        self._rank = 0 if group is None else dist.get_rank(group)

    def own(self, rows_N: Tensor) -> Tensor:
        """The rows of this process among those of all."""
        return rows_N if self._group is None else rows_N.chunk(self._processes)[self._rank]

    def gathered(self, rows_n: Tensor) -> Tensor:
        """The rows of all processes, in the order of their ranks."""
        if self._group is None:
            return rows_n
        rows_N = rows_n.new_empty((self._processes * len(rows_n), *rows_n.shape[1:]))
        dist.all_gather_into_tensor(rows_N, rows_n.contiguous(), group=self._group)
        return rows_N

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if self._group is not None:
            dist.all_reduce(tensor, group=self._group)
        return tensor

    def own_sum(self, rows_ND: Tensor) -> Tensor:
        """The rows of this process of the sum over all processes."""
        if self._group is None:
            return rows_ND
        own_nD = rows_ND.new_empty((len(rows_ND) // self._processes, *rows_ND.shape[1:]))
        # Newer releases of torch have a new name for it, and warn at the old one.
        scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        scatter(own_nD, rows_ND, group=self._group)
        return own_nD

    def log_sum(self, logs_N: Tensor) -> Tensor:
        """log of the sum over all processes of exp(logs_N)."""
        if self._group is None:
            return logs_N
        return self.gathered(logs_N[None]).logsumexp(0)


class _Positives:
    """Which pairs are each other's positives, as sums over them: equal texts plus equal images less equal both."""

    def __init__(self, classes: list[tuple[float, Tensor]], dtype: torch.dtype) -> None:
        self._classes = classes
        ones_N1 = torch.ones(len(classes[0][1]), 1, dtype=dtype, device=classes[0][1].device)
        self.share_N1 = 1.0 / self.sum(ones_N1)
        """One over the number of positives of each pair, (N, 1)."""

    @classmethod
    def of(cls, ids: _Ids, shared: _Shared, dtype: torch.dtype) -> "_Positives":
        """From the ids of all processes."""
        numbered = [
            torch.unique(shared.gathered(ids_n), return_inverse=True)[1]
            for ids_n in (ids.images_n, ids.texts_n)
            if ids_n is not None
        ]
        classes = [(1.0, class_N) for class_N in numbered]
        if len(numbered) == 2:
            both_N = numbered[0] * (int(numbered[1].max()) + 1) + numbered[1]
            classes.append((-1.0, torch.unique(both_N, return_inverse=True)[1]))
        return cls(classes, dtype)

    def sum(self, rows_ND: Tensor) -> Tensor:
        """For each pair the sum of the rows of its positives, (N, D)."""
        total_ND = torch.zeros_like(rows_ND)
        for sign, class_N in self._classes:
            sums_CD = rows_ND.new_zeros(int(class_N.max()) + 1, rows_ND.shape[1]).index_add_(0, class_N, rows_ND)
            total_ND.add_(sums_CD[class_N], alpha=sign)
        return total_ND


def _target_sums(rows_ND: Tensor, positives: _Positives | None) -> Tensor:
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
        positives: _Positives | None,
        shared: _Shared,
    ) -> Tensor:
        y_ND = shared.gathered(y_nD)
        count = len(y_ND)
        with _full_precision(x_nD):
            rows_n, columns_N = _log_sum_exps(x_nD, y_ND, float(temperature))
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
            dx_nD, dy_ND = _softmax_sums(x_nD, y_ND, float(temperature), rows_n, columns_N)
        dx_nD -= targets_nD
        # Every process adds what its own images ask of all texts.
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
    """Products as they are written, also where a caller's autocast would make them in half precision."""
    return torch.autocast(rows.device.type, enabled=False)


def _log_sum_exps(x_nD: Tensor, y_ND: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Over z = x y' / t: the log-sum-exps of its rows (n,), and of its columns (N,)."""
    if _runs_triton(x_nD):
        from openalign.model import loss_triton

        return loss_triton.log_sum_exps(x_nD, y_ND, temperature)
    x_nD = x_nD / temperature
    if 1.0 / temperature <= PLAIN_EXPONENT:
        row_sums_n, column_sums_N = x_nD.new_zeros(len(x_nD)), x_nD.new_zeros(len(y_ND))
        kept_KL = _tile_like(x_nD)
        for rows, columns in _tiles(len(x_nD), len(y_ND)):
            e_KL = _product(x_nD[rows], y_ND[columns], kept_KL).exp_()
            row_sums_n[rows] += e_KL.sum(1)
            column_sums_N[columns] += e_KL.sum(0)
        # The backward pass takes their exponentials: a float32 logarithm near 1/t would cost it up to 1/t roundings.
        return row_sums_n.double().log_(), column_sums_N.double().log_()
    rows_n, columns_N = x_nD.new_full((len(x_nD),), -math.inf), x_nD.new_full((len(y_ND),), -math.inf)
    for rows, columns in _tiles(len(x_nD), len(y_ND)):
        z_KL = x_nD[rows] @ y_ND[columns].T
        rows_n[rows] = torch.logaddexp(rows_n[rows], z_KL.logsumexp(1))
        columns_N[columns] = torch.logaddexp(columns_N[columns], z_KL.logsumexp(0))
    return rows_n, columns_N


def _softmax_sums(
    x_nD: Tensor, y_ND: Tensor, temperature: float, rows_n: Tensor, columns_N: Tensor
) -> tuple[Tensor, Tensor]:
    """With p the row softmax plus the column softmax of z: p y (n, D), and p' x (N, D)."""
    if _runs_triton(x_nD):
        from openalign.model import loss_triton

        return loss_triton.softmax_sums(x_nD, y_ND, temperature, rows_n, columns_N)
    scaled_nD = x_nD / temperature
    dx_nD, dy_ND = torch.zeros_like(x_nD), torch.zeros_like(y_ND)
    plain = 1.0 / temperature <= PLAIN_EXPONENT
    by_row_n, by_column_N = rows_n, columns_N
    if plain:
        by_row_n, by_column_N = ((-logs).exp().to(x_nD.dtype) for logs in (rows_n, columns_N))
    kept_KL, weights_KL = _tile_like(x_nD), _tile_like(x_nD)
    for rows, columns in _tiles(len(x_nD), len(y_ND)):
        z_KL = _product(scaled_nD[rows], y_ND[columns], kept_KL)
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


def _tile_like(rows: Tensor) -> Tensor:
    """Room for one tile, kept from one to the next: fresh memory for each would cost as much as its arithmetic."""
    return rows.new_empty(TILE, TILE)


def _product(x_KD: Tensor, y_LD: Tensor, kept_KL: Tensor) -> Tensor:
    """x y', written into the room of a tile."""
    return torch.mm(x_KD, y_LD.T, out=kept_KL[: len(x_KD), : len(y_LD)])


def _runs_triton(rows: Tensor) -> bool:
    """Whether the kernels take these rows: float32 on an NVIDIA GPU with TF32, and Triton is there."""
    return (
        rows.is_cuda
        and rows.dtype == torch.float32
        and torch.version.hip is None
        and torch.cuda.get_device_capability(rows.device) >= (8, 0)
        and find_spec("triton") is not None
    )


def _tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, rows, TILE):
        for left in range(0, columns, TILE):
            yield slice(top, top + TILE), slice(left, left + TILE)
