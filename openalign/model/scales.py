"""The named sizes of both towers, and their cost.

Multiply-adds are counted from the shapes of the layers: convolutions, linear layers and attention, one pair forward.
Norms, activations and pooling are left out, as the published figures leave them out.
"""

import math
from collections.abc import Collection
from functools import cache

import torch
from rich.table import Table
from torch import nn
from transformers import BertModel

from openalign.model.align import Align, AlignSettings, TextTowerSettings, bert_config
from openalign.model.efficientnet.convolution import Convolution
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.efficientnet.tower import EfficientNet

IMAGE_TOWERS: dict[str, tuple[float, float, int]] = {
    # name: width multiplier, depth multiplier, native side in pixels (Tan & Le 2019; L2: Xie et al. 2020)
    "b0": (1.0, 1.0, 224),
    "b1": (1.0, 1.1, 240),
    "b2": (1.1, 1.2, 260),
    "b3": (1.2, 1.4, 300),
    "b4": (1.4, 1.8, 380),
    "b5": (1.6, 2.2, 456),
    "b6": (1.8, 2.6, 528),
    "b7": (2.0, 3.1, 600),
    "l2": (4.3, 5.3, 800),
}

TEXT_TOWERS: dict[str, tuple[int, int, int]] = {
    # name: width, layers, heads (Devlin et al. 2019; Turc et al. 2019); the inner width is four times the width
    "tiny": (128, 2, 2),
    "mini": (256, 4, 4),
    "small": (512, 4, 8),
    "medium": (512, 8, 8),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}

PAPER_SIDE = 289
PAPER_PIECES = 64
PAPER_VOCABULARY = 100_000


def image_tower(name: str) -> ImageTowerSettings:
    """Settings of the EfficientNet called `name`. Raises ValueError if there is none."""
    _check_name(name, "image", IMAGE_TOWERS)
    width, depth, _ = IMAGE_TOWERS[name]
    return ImageTowerSettings(width_multiplier=width, depth_multiplier=depth)


def text_tower(name: str) -> TextTowerSettings:
    """Settings of the BERT called `name`. Raises ValueError if there is none."""
    _check_name(name, "text", TEXT_TOWERS)
    width, layers, heads = TEXT_TOWERS[name]
    return TextTowerSettings(width=width, layers=layers, heads=heads, inner_width=4 * width)


def _check_name(name: str, kind: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"there is no {kind} tower `{name}`; the named sizes are {', '.join(known)}")


def parameters(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def image_multiply_adds(tower: EfficientNet, side: int) -> int:
    """Multiply-adds of one square image of `side` pixels; the tower may be on the meta device."""
    total = 0
    for module in tower.modules():  # in the order of the forward pass
        if isinstance(module, Convolution):
            side = _side_after(module, side)
            total += module.weight.numel() * side**2
        elif isinstance(module, nn.Conv2d):  # squeeze-excite, on pooled channels
            total += module.weight.numel()
    return total


def _side_after(convolution: Convolution, side: int) -> int:
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    if stride == 1 or convolution.fixed_padding is None:
        return math.ceil(side / stride)
    return (side + sum(convolution.fixed_padding) - kernel) // stride + 1


def text_multiply_adds(tower: BertModel, pieces: int) -> int:
    """Multiply-adds of one text of `pieces` word pieces."""
    linear = sum(module.weight.numel() for module in tower.modules() if isinstance(module, nn.Linear))
    attention = 2 * pieces * tower.config.hidden_size * tower.config.num_hidden_layers  # q k and (q k) v, each piece
    return pieces * int(linear + attention)


@cache
def pair_multiply_adds(settings: AlignSettings, pieces: int) -> int:
    """Multiply-adds of one pair through both towers and their projections, for a text of `pieces` word pieces."""
    with torch.device("meta"):
        model = Align(settings)
    projections = [layer for layer in (model.image_projection, model.text_projection) if layer is not None]
    return (
        image_multiply_adds(model.vision_model, settings.image_size)
        + text_multiply_adds(model.text_model, pieces)
        + sum(layer.weight.numel() for layer in projections)
    )


def scales_tables() -> list[Table]:
    """One table per tower: width, parameters, multiply-adds at the published size and at the paper's."""
    return [_image_table(), _text_table()]


def _image_table() -> Table:
    table = Table(title="Image towers (EfficientNet, pooled without the head convolution)", title_justify="left")
    for heading in ("name", "width", "parameters", "native side", "multiply-adds", f"at {PAPER_SIDE} px"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for name, (_, _, side) in IMAGE_TOWERS.items():
        with torch.device("meta"):
            tower = EfficientNet(image_tower(name))
        native, paper = (image_multiply_adds(tower, size) for size in (side, PAPER_SIDE))
        cells = (f"{tower.settings.width}", f"{parameters(tower) / 1e6:.1f} M", f"{side} px")
        table.add_row(name, *cells, f"{native / 1e9:.2f} G", f"{paper / 1e9:.2f} G")
    return table


def _text_table() -> Table:
    table = Table(
        title=f"Text towers (BERT, {PAPER_VOCABULARY:,} word pieces, texts of {PAPER_PIECES} pieces)",
        title_justify="left",
    )
    for heading in ("name", "width", "layers", "heads", "parameters", "multiply-adds"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for name in TEXT_TOWERS:
        settings = text_tower(name)
        with torch.device("meta"):
            tower = BertModel(
                bert_config(AlignSettings(text_tower=settings, vocabulary=PAPER_VOCABULARY)), add_pooling_layer=False
            )
        cost = text_multiply_adds(tower, PAPER_PIECES)
        cells = (f"{settings.width}", f"{settings.layers}", f"{settings.heads}", f"{parameters(tower) / 1e6:.1f} M")
        table.add_row(name, *cells, f"{cost / 1e9:.2f} G")
    return table
