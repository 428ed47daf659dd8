"""The shape of an EfficientNet."""

import math
from typing import Annotated, Literal

from pydantic import Field

from openalign.model.limits import MOST_LAYERS, MOST_MULTIPLIER, MOST_WIDTH
from openalign.settings import Settings

DIVISOR = 8  # channel counts are multiples of this, as published
STEM_CHANNELS = 32

Few = Annotated[int, Field(ge=1, le=100)]
Channels = Annotated[int, Field(ge=1, le=MOST_WIDTH)]


class ImageTowerSettings(Settings):
    """Shape of an EfficientNet. The defaults are B0; `openalign scales` lists the other named sizes.

    The tuples have one entry per stage; `width_multiplier` and `depth_multiplier` are applied to them.
    """

    width_multiplier: float = Field(default=1.0, gt=0, le=MOST_MULTIPLIER, allow_inf_nan=False)
    """Factor of all channels, which are rounded to multiples of 8."""
    depth_multiplier: float = Field(default=1.0, gt=0, le=MOST_MULTIPLIER, allow_inf_nan=False)
    """Factor of all repeats, which are rounded up."""
    kernels: tuple[Few, ...] = (3, 3, 5, 3, 5, 5, 3)
    """Side of the depthwise filters of each stage, in pixels."""
    strides: tuple[Few, ...] = (1, 2, 2, 2, 1, 2, 1)
    """Stride of the first block of each stage."""
    channels: tuple[Channels, ...] = Field(default=(16, 24, 40, 80, 112, 192, 320), min_length=1)
    """Output channels of each stage; the last are the width of the tower."""
    repeats: tuple[Few, ...] = (1, 2, 2, 3, 3, 4, 1)
    """Blocks of each stage."""
    expansions: tuple[Few, ...] = (1, 6, 6, 6, 6, 6, 6)
    """Inner channels of the blocks of each stage, as a multiple of their input channels."""
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
        """Raise ValueError if the tuples differ in length or there are too many blocks.

        Not a validator: with `start_from`, a recipe may give single keys to compare with the model's.
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
