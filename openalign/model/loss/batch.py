"""The batch of the contrastive loss: its exchange between processes, and which pairs are positives of each other.

Shapes: N pairs of the whole batch, n of this process (n = N in a run of one process), D columns, C classes.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def processes_of(group: dist.ProcessGroup | None) -> int:
    """Number of processes that share a batch; None is a single process."""
    return 1 if group is None else dist.get_world_size(group)


class SharedBatch:
    """Collectives over the processes that share the batch; no-ops in a run of one process."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self._group = group
        self._processes = processes_of(group)
        self._rank = 0 if group is None else dist.get_rank(group)

    def own(self, rows_N: Tensor) -> Tensor:
        """The rows of this process, taken from those of all."""
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
        """This process's rows of the sum over all processes."""
        if self._group is None:
            return rows_ND
        own_nD = rows_ND.new_empty((len(rows_ND) // self._processes, *rows_ND.shape[1:]))
        # Newer releases of torch rename it and warn about the old name.
        scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        scatter(own_nD, rows_ND, group=self._group)
        return own_nD

    def log_sum(self, logs_N: Tensor) -> Tensor:
        """log of the sum over all processes of exp(logs_N)."""
        if self._group is None:
            return logs_N
        return self.gathered(logs_N[None]).logsumexp(0)


class Positives:
    """Which pairs are positives of each other, as sums over classes: equal texts + equal images - both equal."""

    def __init__(self, classes: list[tuple[float, Tensor]], dtype: torch.dtype) -> None:
        self._classes = classes
        ones_N1 = torch.ones(len(classes[0][1]), 1, dtype=dtype, device=classes[0][1].device)
        self.share_N1 = 1.0 / self.sum(ones_N1)
        """One over the number of positives of each pair, (N, 1)."""

    @classmethod
    def of(cls, ids: Sequence[Tensor], shared: SharedBatch, dtype: torch.dtype) -> "Positives":
        """From ids of images, of texts or of both, each (n,) in every process."""
        numbered = [torch.unique(shared.gathered(ids_n), return_inverse=True)[1] for ids_n in ids]
        classes = [(1.0, class_N) for class_N in numbered]
        if len(numbered) == 2:
            both_N = numbered[0] * (int(numbered[1].max()) + 1) + numbered[1]
            classes.append((-1.0, torch.unique(both_N, return_inverse=True)[1]))
        return cls(classes, dtype)

    def sum(self, rows_ND: Tensor) -> Tensor:
        """For each pair, the sum of the rows of its positives, (N, D)."""
        total_ND = torch.zeros_like(rows_ND)
        for sign, class_N in self._classes:
            sums_CD = rows_ND.new_zeros(int(class_N.max()) + 1, rows_ND.shape[1]).index_add_(0, class_N, rows_ND)
            total_ND.add_(sums_CD[class_N], alpha=sign)
        return total_ND
