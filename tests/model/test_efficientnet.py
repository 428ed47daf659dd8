"""The image tower against published sizes, direct padding arithmetic, and the public port."""

import math

import pytest
import torch
from torch.nn import functional

from openalign.model.efficientnet.blocks import Block
from openalign.model.efficientnet.convolution import Convolution
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.efficientnet.tower import EfficientNet
from openalign.model.scales import IMAGE_TOWERS, image_tower, parameters

PUBLISHED_PARAMETERS = {
    "b0": 5_288_548, "b1": 7_794_184, "b2": 9_109_994, "b3": 12_233_232,
    "b4": 19_341_616, "b5": 30_389_784, "b6": 43_040_704, "b7": 66_347_960,
}  # fmt: skip
HEAD_CHANNELS = 1280
CLASSES = 1000

TINY = ImageTowerSettings(
    width_multiplier=0.25, kernels=(3, 5), strides=(2, 2), channels=(32, 64), repeats=(1, 2), expansions=(1, 4)
)


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_parameters_equal_the_published_ones_less_the_head(name: str) -> None:
    with torch.device("meta"):
        tower = EfficientNet(image_tower(name))
    head_channels = tower.settings.width * HEAD_CHANNELS // 320
    head = tower.settings.width * head_channels + 2 * head_channels + (head_channels + 1) * CLASSES
    assert parameters(tower) + head == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize(("name", "width"), [("b0", 320), ("b3", 384), ("b5", 512), ("b7", 640), ("l2", 1376)])
def test_pooled_widths_are_the_papers(name: str, width: int) -> None:
    assert image_tower(name).width == width
    assert name in IMAGE_TOWERS


@pytest.mark.parametrize("size", [7, 8, 9, 16, 17, 289])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_equals_direct_arithmetic(size: int, kernel: int, stride: int) -> None:
    convolution = Convolution(1, 1, kernel, stride)
    x = torch.randn(1, 1, size, size)
    out = math.ceil(size / stride)
    total = max((out - 1) * stride + kernel - size, 0)
    padded = functional.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
    expected = functional.conv2d(padded, convolution.weight, stride=stride)
    assert expected.shape[-1] == out
    torch.testing.assert_close(convolution(x), expected)


def test_a_fresh_tower_gives_finite_features_in_both_modes() -> None:
    tower = EfficientNet(TINY)
    x = torch.randn(4, 3, 33, 33)
    assert torch.isfinite(tower.train()(x)).all()
    assert torch.isfinite(tower.eval()(x)).all()
    assert tower(x).shape == (4, TINY.width)


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    block = Block(
        8, 8, kernel=3, stride=1, expansion=1, squeeze_ratio=0.25, drop_path=0.5, padding="same", residual=True
    )
    branch = block.train()._drop(torch.ones(2000, 1, 2, 2))
    per_sample = branch.flatten(1)
    assert set(per_sample.unique().tolist()) == {0.0, 2.0}
    assert (per_sample.amax(1) == per_sample.amin(1)).all()
    assert abs(float(per_sample.mean()) - 1.0) < 0.1


def test_stochastic_depth_grows_linearly_over_depth() -> None:
    rates = [block.drop_path for block in EfficientNet(image_tower("b0")).encoder.blocks]
    assert rates == [0.2 * i / 16 for i in range(16)]
