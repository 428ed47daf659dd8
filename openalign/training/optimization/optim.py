"""LAMB (You et al., ICLR 2020), AdamW and SGD, and the paper's learning-rate schedule (section 5)."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from openalign.training.optimization.replica import full_tensor
from openalign.training.recipe.recipe import OptimizerSettings


def learning_rate(step: int, settings: OptimizerSettings, steps: int) -> float:
    """Learning rate of `step` (from 0): linear from zero to its peak over the warm-up, then down to zero at `steps`."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    left = (steps - step) / max(steps - settings.warmup_steps, 1)
    if settings.decay == "cosine":
        left = 0.5 * (1.0 - math.cos(math.pi * left))
    return settings.learning_rate * left


class Lamb(torch.optim.Optimizer):
    """Adam with a step in proportion to the norm of each tensor.

    Groups with `adapt=False` take Adam's step: those of biases, norms and the temperature, which start at or near zero.
    """

    def __init__(
        self, groups: list[dict[str, object]], *, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-6
    ) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, "adapt": True, "betas": betas, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update; a tensor without a gradient stays as it is."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._step_group(group, parameters)

    def _step_group(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        first, second, step = self._moments(parameters)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_lerp_(first, gradients, 1.0 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1.0 - beta2)

        update = torch._foreach_div(first, 1.0 - beta1**step)
        scale = torch._foreach_div(second, 1.0 - beta2**step)
        torch._foreach_sqrt_(scale)
        torch._foreach_add_(scale, group["epsilon"])
        torch._foreach_div_(update, scale)
        if group["weight_decay"]:
            torch._foreach_add_(update, parameters, alpha=group["weight_decay"])
        if group["adapt"]:
            torch._foreach_mul_(update, trust_ratios(parameters, update))
        torch._foreach_add_(parameters, update, alpha=-group["lr"])

    def _moments(self, parameters: list[Tensor]) -> tuple[list[Tensor], list[Tensor], int]:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["first"] = torch.zeros_like(parameter)
                state["second"] = torch.zeros_like(parameter)
                state["step"] = 0
            state["step"] += 1
        states = [self.state[parameter] for parameter in parameters]
        return [state["first"] for state in states], [state["second"] for state in states], states[0]["step"]


def trust_ratios(parameters: list[Tensor], update: tuple[Tensor, ...]) -> list[Tensor]:
    """|w| / |u| of each tensor, over all processes that hold a shard of it, and 1 where either norm is zero."""
    weights, changes = _norms(parameters), _norms(list(update))
    return list(torch.where((weights > 0) & (changes > 0), weights / changes, 1.0).unbind())


def _norms(tensors: list[Tensor]) -> Tensor:
    return torch.stack([full_tensor(norm) for norm in torch._foreach_norm(tensors)])


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimizer of `settings` for the learned parameters of `model`, in groups with and without weight decay."""
    decayed, plain = split_parameters(model.named_parameters())
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": settings.weight_decay, "adapt": True},
        {"params": plain, "weight_decay": 0.0, "adapt": False},
    ]
    betas = (settings.beta1, settings.beta2)
    if settings.name == "lamb":
        return Lamb(groups, betas=betas, epsilon=settings.epsilon)
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings.beta1, foreach=True)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=settings.epsilon, foreach=True)


def moments_of(optimizer: torch.optim.Optimizer) -> frozenset[str]:
    """Names of the state that the optimizer keeps for each parameter."""
    return MOMENTS[type(optimizer)]


def split_parameters(named: Iterable[tuple[str, nn.Parameter]]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices and filters, which decay, and vectors and scalars (norms, biases, temperature), which do not."""
    learned = [parameter for _, parameter in named if parameter.requires_grad]
    return [p for p in learned if p.ndim > 1], [p for p in learned if p.ndim <= 1]


MOMENTS: dict[type[torch.optim.Optimizer], frozenset[str]] = {
    Lamb: frozenset({"first", "second", "step"}),
    torch.optim.AdamW: frozenset({"exp_avg", "exp_avg_sq", "step"}),
    torch.optim.SGD: frozenset({"momentum_buffer"}),
}
