"""Linear layers with packed weights compute what the layers they replace do."""

import pytest
import torch
from transformers.activations import QuickGELUActivation

from openalign.model.foreign.packed import PackedLinear, QuickGELU, pack_layers


@pytest.mark.parametrize("shape", [(5, 7), (1, 1, 7), (3, 65, 7), (0, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_what_the_layer_does(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(7, 11, bias=bias)
    model = torch.nn.Sequential(torch.nn.Sequential(linear))
    inputs = torch.randn(*shape)
    expected = linear(inputs)
    pack_layers(model)
    with torch.inference_mode():
        torch.testing.assert_close(model(inputs), expected.detach(), atol=1e-6, rtol=1e-5)


def test_inputs_may_lie_in_memory_in_any_order() -> None:
    linear = torch.nn.Linear(6, 4)
    model = torch.nn.Sequential(linear)
    pack_layers(model)
    inputs = torch.randn(6, 3, 5).permute(1, 2, 0)
    with torch.inference_mode():
        torch.testing.assert_close(model(inputs), linear(inputs), atol=1e-6, rtol=1e-5)


def test_layers_that_cannot_be_packed_are_left() -> None:
    half = torch.nn.Linear(4, 4, dtype=torch.bfloat16)
    attention = torch.nn.MultiheadAttention(4, 2)
    model = torch.nn.ModuleDict({"low": half, "attention": attention})
    pack_layers(model)
    assert model["low"] is half
    assert not any(isinstance(each, PackedLinear) for each in model.modules())


def test_the_activation_of_clip_keeps_its_values_and_its_input() -> None:
    model = torch.nn.Sequential(QuickGELUActivation())
    inputs = torch.linspace(-20, 20, 101)
    expected, before = model(inputs), inputs.clone()
    pack_layers(model)
    assert isinstance(model[0], QuickGELU)
    torch.testing.assert_close(model(inputs), expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(inputs, before)
