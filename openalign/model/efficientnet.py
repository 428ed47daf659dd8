"""EfficientNet (Tan & Le, ICML 2019) as ALIGN's image tower: pooled without the 1x1 head convolution (paper section 4).

Parameters carry the names of the Hugging Face `AlignVisionModel`, so a state dict is that folder's state dict.
Shapes: B batch, C channels, H height, W width.
"""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from openalign.model.batch_norm import BatchNorm
from openalign.model.limits import MOST_LAYERS, MOST_MULTIPLIER, MOST_WIDTH
from openalign.settings import Settings

DIVISOR = 8  # channel counts are multiples of this, as published
STEM_CHANNELS = 32

Few = Annotated[int, Field(ge=1, le=100)]
Channels = Annotated[int, Field(ge=1, le=MOST_WIDTH)]


class ImageTowerSettings(Settings):
    """Shape of an EfficientNet. The defaults are B0; `scales.py` names the others.

    The tuples have one entry a stage, before `width_multiplier` and `depth_multiplier` are applied.
    """

    width_multiplier: float = Field(default=1.0, gt=0, le=MOST_MULTIPLIER, allow_inf_nan=False)
    depth_multiplier: float = Field(default=1.0, gt=0, le=MOST_MULTIPLIER, allow_inf_nan=False)
    kernels: tuple[Few, ...] = (3, 3, 5, 3, 5, 5, 3)
    strides: tuple[Few, ...] = (1, 2, 2, 2, 1, 2, 1)
    channels: tuple[Channels, ...] = Field(default=(16, 24, 40, 80, 112, 192, 320), min_length=1)
    repeats: tuple[Few, ...] = (1, 2, 2, 3, 3, 4, 1)
    expansions: tuple[Few, ...] = (1, 6, 6, 6, 6, 6, 6)
    squeeze_ratio: float = Field(default=0.25, gt=0, le=1, allow_inf_nan=False)
    """Squeeze-excite channels as a share of the block's input channels."""
    drop_path: float = Field(default=0.2, ge=0, lt=1, allow_inf_nan=False)
    """Stochastic depth: probability of dropping the last block; it grows linearly over depth (Huang et al. 2016)."""
    padding: Literal["same", "hf"] = "same"
    """`same` pads as TensorFlow does at any size, as the published weights were trained; `hf` pads as the public
    PyTorch port does, which differs where a stride of 2 meets an odd size."""

    @property
    def width(self) -> int:
        """Channels of the pooled output."""
        return round_channels(self.channels[-1], self.width_multiplier)

    def check(self) -> None:
        """Raise ValueError where stages lack entries or ask for too many blocks.

        Not a validator: a recipe may name one of these to say what it asks of another model.
        """
        for name in ("kernels", "strides", "repeats", "expansions"):
            entries = len(getattr(self, name))
            if entries != len(self.channels):
                raise ValueError(f"`{name}` has {entries} entries, and `channels` {len(self.channels)}")
        if (blocks := sum(math.ceil(count * self.depth_multiplier) for count in self.repeats)) > MOST_LAYERS:
            raise ValueError(f"`repeats` and `depth_multiplier` ask for {blocks:,} blocks; at most {MOST_LAYERS:,} fit")


def round_channels(channels: int, multiplier: float) -> int:
    """Scale a channel count and round it to a multiple of 8, never below 90 % of the scaled value."""
    scaled = channels * multiplier
    rounded = max(DIVISOR, int(scaled + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * scaled else rounded


class Convolution(nn.Conv2d):
    """A convolution without bias under TensorFlow's SAME padding, or the port's (see `ImageTowerSettings.padding`)."""

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
    """Padding whose gradient lies densely in channels_last: on a CPU batch norm's backward pass takes many times as
    long on the cut-out view that `pad` hands back."""

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
    """One filter a channel."""

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


class Encoder(nn.Module):
    """All blocks of all stages, in order."""

    def __init__(self, settings: ImageTowerSettings) -> None:
        super().__init__()
        repeats = [math.ceil(count * settings.depth_multiplier) for count in settings.repeats]
        inputs = round_channels(STEM_CHANNELS, settings.width_multiplier)
        blocks: list[Block] = []
        for stage, count in enumerate(repeats):
            outputs = round_channels(settings.channels[stage], settings.width_multiplier)
            for position in range(count):
                blocks.append(
                    Block(
                        inputs,
                        outputs,
                        kernel=settings.kernels[stage],
                        stride=settings.strides[stage] if position == 0 else 1,
                        expansion=settings.expansions[stage],
                        squeeze_ratio=settings.squeeze_ratio,
                        drop_path=settings.drop_path * len(blocks) / sum(repeats),
                        padding=settings.padding,
                        residual=position > 0,
                    )
                )
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.recompute = False
        """Keep only each block's input for the backward pass, and compute the block again there."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                x_BCHW = checkpoint(block, x_BCHW, use_reentrant=False)
            else:
                x_BCHW = block(x_BCHW)
        return x_BCHW


class EfficientNet(nn.Module):
    """Pixels in [-1, 1] of shape (B, 3, H, W) -> pooled features of shape (B, width), not normalised."""

    def __init__(self, settings: ImageTowerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.embeddings = Stem(round_channels(STEM_CHANNELS, settings.width_multiplier), settings.padding)
        self.encoder = Encoder(settings)
        self.apply(_initialise)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        features_BCHW: Tensor = self.encoder(self.embeddings(pixels_BCHW))
        return features_BCHW.mean((2, 3))


def _initialise(module: nn.Module) -> None:
    """Normal with variance 2 / fan-out, as published (fan-out of a depthwise filter is its own area)."""
    if isinstance(module, nn.Conv2d):
        kernel_area = module.kernel_size[0] * module.kernel_size[1]
        fan_out = kernel_area * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
