"""The named sizes, as the command prints them, and what they cost against a counter of operations and the papers."""

import math

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel

from openalign.model.align import Align, AlignSettings, bert_config
from openalign.model.efficientnet.tower import EfficientNet
from openalign.model.scales import (
    IMAGE_TOWERS,
    TEXT_TOWERS,
    image_multiply_adds,
    image_tower,
    pair_multiply_adds,
    scales_tables,
    text_multiply_adds,
    text_tower,
)

PUBLISHED_BILLIONS = {
    # Tan & Le 2019, table 2: multiply-adds at the native side, head convolution and classifier included.
    "b0": 0.39, "b1": 0.70, "b2": 1.0, "b3": 1.8, "b4": 4.2, "b5": 9.9, "b6": 19.0, "b7": 37.0,
}  # fmt: skip
HEAD_CHANNELS = 1280
CLASSES = 1000


def counted(module: nn.Module, *inputs: torch.Tensor) -> int:
    """By torch's counter, which reports two operations for a multiply-add."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(*inputs)
    return int(counter.get_total_flops()) // 2


@pytest.mark.slow
def test_both_families_fit_eighty_columns() -> None:
    console = Console(width=80, record=True)
    for table in scales_tables():
        console.print(table)
    shown = console.export_text()
    assert "…" not in shown
    for name in [*IMAGE_TOWERS, *TEXT_TOWERS]:
        assert name in shown


@pytest.mark.parametrize(("name", "width", "layers"), [("mini", 256, 4), ("base", 768, 12), ("large", 1024, 24)])
def test_text_towers_are_the_published_ones(name: str, width: int, layers: int) -> None:
    tower = text_tower(name)
    assert (tower.width, tower.layers, tower.inner_width, tower.width // tower.heads) == (width, layers, 4 * width, 64)


def test_compound_scaling_of_l2() -> None:
    tower = image_tower("l2")
    assert (tower.width_multiplier, tower.depth_multiplier, tower.width) == (4.3, 5.3, 1376)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["same", "hf"])
@pytest.mark.parametrize("side", [224, 289, 37])
def test_image_multiply_adds_equal_those_of_a_counter(side: int, padding: str) -> None:
    with torch.device("meta"):
        tower = EfficientNet(image_tower("b0").model_copy(update={"padding": padding}))
        expected = counted(tower, torch.empty(1, 3, side, side))
    assert image_multiply_adds(tower, side) == expected


@pytest.mark.parametrize("pieces", [1, 12, 64])
def test_text_multiply_adds_equal_those_of_a_counter(pieces: int) -> None:
    with torch.device("meta"):
        tower = BertModel(
            bert_config(AlignSettings(text_tower=text_tower("mini"), vocabulary=100)), add_pooling_layer=False
        )
        expected = counted(tower, torch.empty(1, pieces, dtype=torch.long))
    assert text_multiply_adds(tower, pieces) == expected


@pytest.mark.slow
@pytest.mark.parametrize("embedding_width", [None, 640])
def test_a_pair_costs_both_towers_and_their_projections(embedding_width: int | None) -> None:
    settings = AlignSettings(
        image_tower=image_tower("b0"),
        text_tower=text_tower("mini"),
        vocabulary=100,
        image_size=64,
        embedding_width=embedding_width,
    )
    ids_BT = torch.ones(1, 20, dtype=torch.long)
    images_BHWC = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    model = Align(settings)
    model.text_model.set_attn_implementation("eager")  # the counter overlooks the fused attention of processors
    assert pair_multiply_adds(settings, 20) == counted(model, images_BHWC, ids_BT, torch.ones_like(ids_BT))


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED_BILLIONS)
def test_image_multiply_adds_are_the_published_ones_with_the_head(name: str) -> None:
    native = IMAGE_TOWERS[name][2]
    with torch.device("meta"):
        tower = EfficientNet(image_tower(name))
    head_channels = tower.settings.width * HEAD_CHANNELS // 320
    head = tower.settings.width * head_channels * math.ceil(native / 32) ** 2 + head_channels * CLASSES
    total = (image_multiply_adds(tower, native) + head) / 1e9
    assert total == pytest.approx(PUBLISHED_BILLIONS[name], rel=0.05)
