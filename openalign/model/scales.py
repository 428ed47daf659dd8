"""The named sizes of both towers, and what each one costs."""

import torch
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel

from openalign.model.align import AlignSettings, TextTowerSettings, bert_config
from openalign.model.efficientnet import EfficientNet, ImageTowerSettings

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
    """Settings of the EfficientNet called `name`."""
    width, depth, _ = IMAGE_TOWERS[name]
    return ImageTowerSettings(width_multiplier=width, depth_multiplier=depth)


def text_tower(name: str) -> TextTowerSettings:
    """Settings of the BERT called `name`."""
    width, layers, heads = TEXT_TOWERS[name]
    return TextTowerSettings(width=width, layers=layers, heads=heads, inner_width=4 * width)


def parameters(module: nn.Module) -> int:
    """Number of learned scalars."""
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(module: nn.Module, *inputs: torch.Tensor) -> int:
    """Multiply-adds of one forward pass; the counter reports two operations for each."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(*inputs)
    return int(counter.get_total_flops()) // 2


def scales_tables() -> list[Table]:
    """One table a family: width, parameters, multiply-adds at the published size and at the paper's."""
    return [_image_table(), _text_table()]


def _image_table() -> Table:
    table = Table(title="Image towers (EfficientNet, pooled without the head convolution)", title_justify="left")
    for heading in ("name", "width", "parameters", "native side", "multiply-adds", f"at {PAPER_SIDE} px"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for name, (_, _, side) in IMAGE_TOWERS.items():
        with torch.device("meta"):
            tower = EfficientNet(image_tower(name))
            native, paper = (multiply_adds(tower, torch.empty(1, 3, size, size)) for size in (side, PAPER_SIDE))
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
            cost = multiply_adds(tower, torch.empty(1, PAPER_PIECES, dtype=torch.long))
        cells = (f"{settings.width}", f"{settings.layers}", f"{settings.heads}", f"{parameters(tower) / 1e6:.1f} M")
        table.add_row(name, *cells, f"{cost / 1e9:.2f} G")
    return table
