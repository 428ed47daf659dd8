"""LAMB against a plain reference, and the schedule at its corners."""

import math

import pytest
import torch
from torch import nn

from openalign.training.optimization.optim import Lamb, build_optimizer, learning_rate
from openalign.training.recipe.recipe import OptimizerSettings


def reference_lamb(
    weights: torch.Tensor, gradients: list[torch.Tensor], rate: float, decay: float, adapt: bool
) -> torch.Tensor:
    """LAMB written out one scalar at a time from You et al. 2020, algorithm 2."""
    w = weights.double().flatten().tolist()
    m, v = [0.0] * len(w), [0.0] * len(w)
    for step, gradient in enumerate(gradients, start=1):
        update = []
        for i, g in enumerate(gradient.double().flatten().tolist()):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            direction = (m[i] / (1 - 0.9**step)) / (math.sqrt(v[i] / (1 - 0.999**step)) + 1e-6)
            update.append(direction + decay * w[i])
        weight_norm, update_norm = (math.sqrt(sum(value * value for value in values)) for values in (w, update))
        ratio = weight_norm / update_norm if adapt and weight_norm > 0 and update_norm > 0 else 1.0
        w = [value - rate * ratio * change for value, change in zip(w, update, strict=True)]
    return torch.tensor(w, dtype=torch.float64).reshape(weights.shape)


@pytest.mark.parametrize("adapt", [True, False])
def test_lamb_equals_the_reference_for_twenty_steps(adapt: bool) -> None:
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(7)), nn.Parameter(torch.zeros(3))]
    start = [parameter.detach().clone() for parameter in parameters]
    gradients = [[torch.randn_like(parameter) for parameter in parameters] for _ in range(20)]
    optimizer = Lamb([{"params": parameters, "lr": 0.01, "weight_decay": 0.1, "adapt": adapt}])
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    for i, parameter in enumerate(parameters):
        expected = reference_lamb(start[i], [step[i] for step in gradients], 0.01, 0.1, adapt)
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-4, atol=1e-5)


def test_norms_biases_and_scalars_are_neither_decayed_nor_adapted() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    decayed, plain = build_optimizer(model, OptimizerSettings()).param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3)]
    assert [tuple(p.shape) for p in plain["params"]] == [(4,), (4,), (4,)]
    assert (plain["weight_decay"], plain["adapt"]) == (0.0, False)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 1e-7), (4_999, 0.5e-3), (9_999, 1e-3), (10_000, 1e-3), (605_000, 0.5e-3), (1_200_000, 0.0)],
)
def test_schedule_is_the_papers_at_its_corners(step: int, expected: float) -> None:
    assert learning_rate(step, OptimizerSettings(), 1_200_000) == pytest.approx(expected)


def test_schedule_without_warmup_starts_at_the_peak() -> None:
    assert learning_rate(0, OptimizerSettings(learning_rate=1.0, warmup_steps=0), 10) == 1.0


@pytest.mark.parametrize(("step", "expected"), [(2, 1.0), (6, 0.5), (10, 0.0)])
def test_cosine_decay_falls_from_the_peak_to_zero(step: int, expected: float) -> None:
    settings = OptimizerSettings(learning_rate=1.0, warmup_steps=2, decay="cosine")
    assert learning_rate(step, settings, 10) == pytest.approx(expected)


def test_sgd_is_torchs_with_momentum() -> None:
    weight = nn.Parameter(torch.tensor([[1.0]]))
    module = nn.Module()
    module.weight = weight
    optimizer = build_optimizer(module, OptimizerSettings(name="sgd", weight_decay=0.0))
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for _ in range(2):
        weight.grad = torch.tensor([[1.0]])
        optimizer.step()
    assert weight.item() == pytest.approx(1.0 - 0.1 - 0.1 * 1.9)
