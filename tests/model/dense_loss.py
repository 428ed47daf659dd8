"""The loss written out densely in float64, as the reference that the streamed one is compared with."""

import torch
from torch import Tensor
from torch.nn import functional


def unit_rows(count: int, width: int, seed: int) -> Tensor:
    """float64 unit rows, (count, width)."""
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=1)


def dense_loss(
    x_ND: Tensor,
    y_ND: Tensor,
    temperature: Tensor,
    smoothing: float,
    image_ids_N: Tensor | None = None,
    text_ids_N: Tensor | None = None,
) -> Tensor:
    """Cross-entropy with soft targets over the whole matrix, both directions summed."""
    positive_NN = torch.eye(len(x_ND), dtype=torch.bool)
    for ids_N in (image_ids_N, text_ids_N):
        if ids_N is not None:
            positive_NN = positive_NN | (ids_N[:, None] == ids_N)
    target_NN = positive_NN.double() / positive_NN.sum(1, keepdim=True)
    z_NN = x_ND @ y_ND.T / temperature
    return functional.cross_entropy(z_NN, target_NN, label_smoothing=smoothing) + functional.cross_entropy(
        z_NN.T, target_NN, label_smoothing=smoothing
    )


def dense_gradients(
    values: tuple[Tensor, Tensor, Tensor], smoothing: float, *ids: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """The dense loss and its gradients in both embeddings and the temperature, all float64."""
    leaves = [value.detach().double().requires_grad_() for value in values]
    loss = dense_loss(*leaves, smoothing, *ids)  # type: ignore[arg-type]
    return loss.detach(), list(torch.autograd.grad(loss, leaves))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what was expected."""
    return float((found.double() - expected).norm() / expected.norm())
