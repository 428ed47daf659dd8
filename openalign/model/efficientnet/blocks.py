"""The parts of an EfficientNet: stem and MBConv blocks.

Parameters have the names of the Hugging Face `AlignVisionModel`, so that state dicts are interchangeable.
Shapes: B batch, C channels, H height, W width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from openalign.model.batch_norm import BatchNorm
from openalign.model.efficientnet.convolution import Convolution


class Stem(nn.Module):
    """3x3 convolution of stride 2 on the pixels."""

    def __init__(self, channels: int, padding: str) -> None:
        super().__init__()
        self.convolution = Convolution(3, channels, kernel=3, stride=2, padding=padding)
        self.batchnorm = BatchNorm(channels)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        return functional.silu(self.batchnorm(self.convolution(pixels_BCHW)))


class Expansion(nn.Module):
    """1x1 convolution that widens a block's input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.expand_conv = Convolution(inputs, outputs, kernel=1)
        self.expand_bn = BatchNorm(outputs)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return functional.silu(self.expand_bn(self.expand_conv(x_BCHW)))


class Depthwise(nn.Module):
    """Depthwise convolution: one filter per channel."""

    def __init__(self, channels: int, kernel: int, stride: int, padding: str) -> None:
        super().__init__()
        self.depthwise_conv = Convolution(channels, channels, kernel, stride, groups=channels, padding=padding)
        self.depthwise_norm = BatchNorm(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return functional.silu(self.depthwise_norm(self.depthwise_conv(x_BCHW)))


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the pooled channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pooled_BC11 = x_BCHW.mean((2, 3), keepdim=True)
        gate_BC11: Tensor = self.expand(functional.silu(self.reduce(pooled_BC11)))
        return x_BCHW * gate_BC11.sigmoid()


class Projection(nn.Module):
    """1x1 convolution that narrows a block's output; linear."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project_conv = Convolution(inputs, outputs, kernel=1)
        self.project_bn = BatchNorm(outputs)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.project_bn(self.project_conv(x_BCHW))  # type: ignore[no-any-return]


class Block(nn.Module):
    """MBConv: expansion, depthwise, squeeze-excite, projection; a residual with stochastic depth where shapes allow."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        stride: int,
        expansion: int,
        squeeze_ratio: float,
        drop_path: float,
        padding: str,
        residual: bool,
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expansion = Expansion(inputs, inner) if expansion != 1 else None
        self.depthwise_conv = Depthwise(inner, kernel, stride, padding)
        self.squeeze_excite = SqueezeExcite(inner, max(1, int(inputs * squeeze_ratio)))
        self.projection = Projection(inner, outputs)
        self.residual = residual
        self.drop_path = drop_path

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.expansion(x_BCHW) if self.expansion is not None else x_BCHW
        y_BCHW = self.projection(self.squeeze_excite(self.depthwise_conv(y_BCHW)))
        if not self.residual:
            return y_BCHW
        return x_BCHW + self._drop(y_BCHW)

    def _drop(self, y_BCHW: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0.0:
            return y_BCHW
        keep = 1.0 - self.drop_path
        kept_B111 = torch.empty(len(y_BCHW), 1, 1, 1, dtype=y_BCHW.dtype, device=y_BCHW.device).bernoulli_(keep)
        return y_BCHW * (kept_B111 / keep)
