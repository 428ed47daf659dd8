"""The streamed loss against a dense float64 cross-entropy."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from openalign.errors import OpenAlignError
from openalign.model import loss as loss_module
from openalign.model.loss import contrastive_loss


def unit_rows(count: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=1)


def dense_loss(x_ND: Tensor, y_ND: Tensor, temperature: Tensor, smoothing: float) -> Tensor:
    z_NN = x_ND @ y_ND.T / temperature
    target = torch.arange(len(z_NN))
    return functional.cross_entropy(z_NN, target, label_smoothing=smoothing) + functional.cross_entropy(
        z_NN.T, target, label_smoothing=smoothing
    )


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(2, 70),
    block=st.integers(1, 80),
    temperature=st.floats(0.005, 2.0),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 1000),
)
def test_loss_and_gradients_equal_dense_cross_entropy(
    count: int, block: int, temperature: float, smoothing: float, seed: int
) -> None:
    values = [unit_rows(count, 5, seed), unit_rows(count, 5, seed + 1), torch.tensor(temperature, dtype=torch.float64)]
    ours, dense = ([value.clone().requires_grad_() for value in values] for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "BLOCK_ROWS", block)
        loss = contrastive_loss(*ours, label_smoothing=smoothing)  # type: ignore[misc]
        loss.backward()
    expected = dense_loss(*dense, smoothing)
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    for own, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-7, atol=1e-7)


def test_a_temperature_below_one_88th_does_not_overflow() -> None:
    x = unit_rows(8, 4, 0).float()
    assert torch.isfinite(contrastive_loss(x, x, 0.002))


def test_gradient_scales_with_the_gradient_it_is_given() -> None:
    x, y = unit_rows(6, 3, 0).requires_grad_(), unit_rows(6, 3, 1)
    (once,) = torch.autograd.grad(contrastive_loss(x, y, 0.1), x)
    (thrice,) = torch.autograd.grad(3.0 * contrastive_loss(x, y, 0.1), x)
    torch.testing.assert_close(thrice, 3.0 * once)


@pytest.mark.parametrize(
    ("images", "texts", "temperature", "message"),
    [
        (torch.eye(3), torch.eye(4), 0.1, r"shape \(N, D\)"),
        (torch.eye(3)[:1], torch.eye(3)[:1], 0.1, "at least 2 pairs"),
        (2 * torch.eye(3), torch.eye(3), 0.1, "image embeddings must be finite unit vectors"),
        (torch.eye(3), torch.full((3, 3), torch.nan), 0.1, "text embeddings must be finite unit vectors"),
        (torch.eye(3), torch.eye(3), -1.0, "temperature must be positive"),
    ],
)
def test_unusable_inputs_are_refused_in_a_sentence(
    images: Tensor, texts: Tensor, temperature: float, message: str
) -> None:
    with pytest.raises(OpenAlignError, match=message):
        contrastive_loss(images, texts, temperature)
