"""Convolutions with the padding of TensorFlow, as EfficientNet was published, or of its PyTorch port.

Shapes: B batch, C channels, H height, W width.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Convolution(nn.Conv2d):
    """A convolution without bias, with TensorFlow's SAME padding or the port's (see `ImageTowerSettings.padding`)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, padding: str = "same"
    ) -> None:
        # An odd kernel at stride 1 pads evenly, so the convolution itself can do it (no copy of the input).
        own = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=own, groups=groups, bias=False)
        self.fixed_padding = (kernel // 2 - 1, kernel // 2) if padding == "hf" else None

    def forward(self, input: Tensor) -> Tensor:
        if self.stride[0] > 1:
            top, bottom = self._pads(input.shape[-2])
            left, right = self._pads(input.shape[-1])
            input = _pad(input, (left, right, top, bottom))
        return super().forward(input)

    def _pads(self, size: int) -> tuple[int, int]:
        if self.fixed_padding is not None:
            return self.fixed_padding
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


def _pad(x_BCHW: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    """Zeros on the left, right, top and bottom."""
    if torch.is_grad_enabled() and x_BCHW.requires_grad:
        padded: Tensor = _DensePad.apply(x_BCHW, pads)  # type: ignore[no-untyped-call]
        return padded
    return functional.pad(x_BCHW, pads)


class _DensePad(torch.autograd.Function):
    """Padding whose gradient is dense in channels_last: the gradient of `functional.pad` is a view, on which the
    backward pass of batch norm takes many times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
        ctx.pads = pads
        return functional.pad(x_BCHW, pads)

    @staticmethod
    def backward(ctx: Any, grad_BCHW: Tensor) -> tuple[Tensor, None]:
        left, right, top, bottom = ctx.pads
        height, width = grad_BCHW.shape[-2:]
        inner_BCHW = grad_BCHW[:, :, top : height - bottom, left : width - right]
        return inner_BCHW.contiguous(memory_format=torch.channels_last), None
