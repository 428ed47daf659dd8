"""The streamed loss against a dense float64 cross-entropy."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openalign.errors import OpenAlignError
from openalign.model.loss import tiles
from openalign.model.loss.contrastive import contrastive_loss
from tests.model.dense_loss import dense_gradients, relative_error, unit_rows

SMOOTHING = (0.0, 0.1, 0.5)


def inputs(count: int, width: int, temperature: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """float64 embeddings of which each pair is somewhat alike, and the temperature."""
    x_ND = unit_rows(count, width, seed)
    y_ND = torch.nn.functional.normalize(x_ND + unit_rows(count, width, seed + 1), dim=1)
    return x_ND, y_ND, torch.tensor(temperature, dtype=torch.float64)


def ids_of(count: int, seed: int) -> Tensor:
    return torch.randint(0, max(2, count // 2), (count,), generator=torch.Generator().manual_seed(seed))


def assert_equals_dense(
    values: tuple[Tensor, Tensor, Tensor], smoothing: float, tolerance: float, *ids: Tensor | None
) -> None:
    leaves = [value.clone().requires_grad_() for value in values]
    image_ids_N, text_ids_N = ids or (None, None)
    loss = contrastive_loss(*leaves, smoothing, image_ids_N=image_ids_N, text_ids_N=text_ids_N)  # type: ignore[misc]
    expected, gradients = dense_gradients(values, smoothing, *ids)
    # A loss or gradient that all but vanishes is compared with the size of its terms.
    assert abs(float(loss.detach()) - float(expected)) <= tolerance * max(abs(float(expected)), 1e-3)
    for own, other in zip(torch.autograd.grad(loss, leaves), gradients, strict=True):
        assert (own.double() - other).norm() <= tolerance * max(float(other.norm()), 1e-3)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(2, 70),
    tile=st.integers(1, 80),
    temperature=st.floats(0.005, 2.0),
    smoothing=st.sampled_from(SMOOTHING),
    seed=st.integers(0, 1000),
    with_ids=st.booleans(),
)
def test_loss_and_gradients_equal_dense_cross_entropy(
    count: int, tile: int, temperature: float, smoothing: float, seed: int, with_ids: bool
) -> None:
    ids = (ids_of(count, seed), ids_of(count, seed + 1)) if with_ids else ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", tile)
        assert_equals_dense(inputs(count, 5, temperature, seed), smoothing, 1e-6, *ids)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.005, 0.02, 0.1, 2.0])
@pytest.mark.parametrize(("count", "tile"), [(515, 128), (512, 128), (1000, 333)])
def test_batches_of_several_tiles_equal_dense_cross_entropy(count: int, tile: int, temperature: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", tile)
        assert_equals_dense(inputs(count, 64, temperature), 0.1, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0156, 0.0157, 0.1, 1.0])  # on both sides of the plain exponent
@pytest.mark.parametrize("count", [2, 257, tiles.TILE + 3])
def test_float32_is_within_a_hundred_thousandth(count: int, temperature: float) -> None:
    x_ND, y_ND, t = inputs(count, 64, temperature)
    assert_equals_dense((x_ND.float(), y_ND.float(), t.float()), 0.1, 1e-5)


@pytest.mark.parametrize(("count", "temperature"), [(8, 0.05), (257, 0.02)])
def test_float32_loses_nothing_to_logarithms_of_large_sums(count: int, temperature: float) -> None:
    for seed in range(20):
        x_ND, y_ND, t = inputs(count, 64, temperature, seed)
        assert_equals_dense((x_ND.float(), y_ND.float(), t.float()), 0.1, 2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_summed_in_float32(dtype: torch.dtype) -> None:
    x_ND, y_ND, t = inputs(300, 64, 0.05)
    x, y = (value.to(dtype).requires_grad_() for value in (x_ND, y_ND))
    loss = contrastive_loss(x, y, t.float())
    expected, (dx, _, _) = dense_gradients((x, y, t.float()), 0.1)
    assert loss.dtype == torch.float32
    assert abs(float(loss.detach()) - float(expected)) < 1e-5 * float(expected)
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None and x.grad.dtype == dtype
    assert relative_error(x.grad, dx) < torch.finfo(dtype).eps


@pytest.mark.parametrize(("with_images", "with_texts"), [(True, False), (False, True), (True, True)])
def test_equal_images_and_equal_texts_are_positives(with_images: bool, with_texts: bool) -> None:
    image_ids_N = ids_of(40, 1) if with_images else None
    text_ids_N = ids_of(40, 2) if with_texts else None
    assert_equals_dense(inputs(40, 6, 0.2), 0.1, 1e-6, image_ids_N, text_ids_N)


def test_ids_that_are_all_different_change_nothing() -> None:
    x_ND, y_ND, t = inputs(20, 6, 0.2)
    plain = contrastive_loss(x_ND, y_ND, t)
    torch.testing.assert_close(contrastive_loss(x_ND, y_ND, t, text_ids_N=torch.arange(20)), plain)


def test_a_temperature_far_below_one_88th_does_not_overflow() -> None:
    x = unit_rows(8, 4, 0).float()
    assert torch.isfinite(contrastive_loss(x, x, 0.002))


@pytest.mark.parametrize("temperature", [0.005, 0.05])
@pytest.mark.parametrize("backward_too", [False, True])
def test_autocast_does_not_make_the_products_coarser(temperature: float, backward_too: bool) -> None:
    x, y = (value.float().requires_grad_() for value in inputs(300, 64, 1.0)[:2])
    expected, _ = dense_gradients((x, y, torch.tensor(temperature)), 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive_loss(x, y, temperature)
        with torch.autocast("cpu", torch.bfloat16, enabled=backward_too):
            found = torch.autograd.grad(loss, (x, y))
    plain = torch.autograd.grad(contrastive_loss(x, y, temperature), (x, y))
    assert loss.dtype == torch.float32
    assert abs(float(loss.detach()) - float(expected)) < 1e-5 * max(float(expected), 1e-3)
    for cast, other in zip(found, plain, strict=True):
        assert torch.equal(cast, other)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_a_temperature_of_one_number_in_any_shape_gives_a_scalar(shape: tuple[int, ...]) -> None:
    temperature = torch.full(shape, 0.1, requires_grad=True)
    loss = contrastive_loss(torch.eye(3), torch.eye(3), temperature)
    assert loss.shape == ()
    (gradient,) = torch.autograd.grad(loss, temperature)
    assert gradient.shape == shape


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
        (torch.eye(3), torch.eye(3), 0.0, "temperature must be positive"),
        (torch.eye(3), torch.eye(3), torch.nan, "temperature must be positive"),
        (torch.eye(3), torch.eye(3), torch.ones(3), "temperature must be one number"),
    ],
)
def test_unusable_inputs_are_refused(images: Tensor, texts: Tensor, temperature: Tensor | float, message: str) -> None:
    with pytest.raises(OpenAlignError, match=message):
        contrastive_loss(images, texts, temperature)


@pytest.mark.parametrize("ids", [torch.arange(4), torch.arange(3).float(), torch.zeros(3, 1, dtype=torch.int64)])
def test_ids_that_do_not_fit_are_refused(ids: Tensor) -> None:
    with pytest.raises(OpenAlignError, match=r"text ids must be int64 of shape \(3,\)"):
        contrastive_loss(torch.eye(3), torch.eye(3), 0.1, text_ids_N=ids)
