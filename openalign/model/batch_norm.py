"""Batch norm with explicit groups and running averages.

A step may run in several micro-batches, twice over each, and in several processes. Statistics are always taken over the
same groups of samples, and the running averages are updated once per step, by the mean over all of its groups.
Shapes: B batch, C channels, H height, W width.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from openalign.errors import OpenAlignError

Statistics = Literal["update", "collect", "ignore"]
"""What a forward pass in training does with the means and variances of its groups: `update` the running averages at
once, as PyTorch does; `collect` them for `commit`; or `ignore` them, as when a forward pass is repeated."""


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with the published constants: epsilon 1e-3, and running averages with a decay of 0.99 per step.

    Each `group` consecutive samples share their statistics (16 per TPU core in the paper, section 5); None takes the
    whole input.
    """

    step_mean: Tensor
    step_variance: Tensor
    step_groups: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)
        self.group: int | None = None
        self.statistics: Statistics = "update"
        for name, shape in (("step_mean", channels), ("step_variance", channels), ("step_groups", ())):
            self.register_buffer(name, torch.zeros(shape), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        group = self.group or len(input)
        if len(input) % group:
            raise OpenAlignError(
                f"batch_norm_group {group} does not divide the {len(input)} samples of a forward pass; "
                "take a divisor of micro_batch_size, or of each process's share of batch_size."
            )
        if group == len(input):
            normalised = self._normalise(input)
        else:
            normalised = torch.cat([self._normalise(samples) for samples in torch.split(input, group)])
        if self.statistics == "update":
            self.commit()
        return normalised

    def commit(self) -> None:
        """Update the running averages by the mean over the groups collected since the last commit."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            raise TypeError("running averages are always tracked here")
        self.running_mean.lerp_(self.step_mean / self.step_groups, self.momentum or 0.0)
        self.running_var.lerp_(self.step_variance / self.step_groups, self.momentum or 0.0)
        self.num_batches_tracked += 1
        for collected in self.collected():
            collected.zero_()

    def collected(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sums over the groups since the last commit: means (C,), unbiased variances (C,), their number ()."""
        return self.step_mean, self.step_variance, self.step_groups

    def _normalise(self, group_BCHW: Tensor) -> Tensor:
        # A running average with momentum 1 is the group's mean, which the kernel returns at no cost. It is requested
        # even if it is not used, so that a recomputed block saves the same tensors as the first time.
        mean_C, variance_C = torch.zeros_like(self.step_mean), torch.zeros_like(self.step_variance)
        normalised = functional.batch_norm(
            group_BCHW, mean_C, variance_C, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )
        if self.statistics != "ignore":
            self.step_mean += mean_C
            self.step_variance += variance_C
            self.step_groups += 1
        return normalised


def batch_norms(model: nn.Module) -> list[BatchNorm]:
    """All batch norms of `model`, in order."""
    return [module for module in model.modules() if isinstance(module, BatchNorm)]


def set_group(model: nn.Module, group: int | None) -> None:
    """Set the group size of all batch norms of `model`."""
    for norm in batch_norms(model):
        norm.group = group


def set_statistics(model: nn.Module, statistics: Statistics) -> None:
    """Set what forward passes of `model` in training do with their statistics."""
    for norm in batch_norms(model):
        norm.statistics = statistics
