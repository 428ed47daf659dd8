"""EfficientNet pooled without the 1x1 head convolution (paper section 4).

Shapes: B batch, C channels, H height, W width.
"""

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from openalign.model.efficientnet.blocks import Block, Stem
from openalign.model.efficientnet.settings import STEM_CHANNELS, ImageTowerSettings, round_channels


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
        """Gradient checkpointing: keep only each block's input, and recompute the block in the backward pass."""

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
    """Normal with variance 2 / fan-out, as published (of a depthwise filter: its area)."""
    if isinstance(module, nn.Conv2d):
        kernel_area = module.kernel_size[0] * module.kernel_size[1]
        fan_out = kernel_area * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
