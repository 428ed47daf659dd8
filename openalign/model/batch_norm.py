"""Batch norm whose groups and running averages are settings (design: batch norm is a setting, not an accident).

A step may run in several micro-batches, twice over them, and in several processes. Statistics are then still taken over
the same groups of samples, and the running averages move once a step, by the mean over all of its groups.
Shapes: B batch, C channels, H height, W width.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from openalign.errors import OpenAlignError

Statistics = Literal["update", "collect", "ignore"]
"""What a forward pass in training does with its groups' means and variances: move the running averages at once, as
PyTorch does; keep them for `commit_statistics`; or nothing, as when a forward pass is repeated."""


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with the published constants: epsilon 1e-3, and a running average that keeps 0.99 a step.

    `group` samples that follow each other share their statistics (the paper's TPU cores saw 16 each, section 5);
    None takes the whole batch at hand.
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
            normalised = torch.cat([self._normalise(part) for part in torch.split(input, group)])
        if self.statistics == "update":
            self.commit()
        return normalised

    def commit(self) -> None:
        """Move the running averages by the mean over the groups collected since the last time."""
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
        # A running average that keeps nothing is the group's own mean: the kernel hands it out at no cost. It is asked
        # for also where it is not used, so that a block computed again saves the same tensors as the first time.
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
    """Every batch norm of `model`, in order."""
    return [module for module in model.modules() if isinstance(module, BatchNorm)]


def set_group(model: nn.Module, group: int | None) -> None:
    """Take statistics over `group` samples in every batch norm of `model`."""
    for norm in batch_norms(model):
        norm.group = group


def set_statistics(model: nn.Module, statistics: Statistics) -> None:
    """What the forward passes of `model` in training do with their statistics from now on."""
    for norm in batch_norms(model):
        norm.statistics = statistics
