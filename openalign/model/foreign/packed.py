"""Linear layers whose weights lie as oneDNN computes with them: the same products, faster on processors of x86.

torch multiplies float32 matrices by MKL, which uses half of what an AMD processor with AVX-512 can do. One core of it
reaches, for a layer of 768 x 3072, 105 GFLOP/s beside 240 by oneDNN with weights that were laid out before, and 40
beside 185 for a text of five tokens (bench/index_images.py measures whole models).
"""

import platform

import torch
from transformers.activations import QuickGELUActivation


class PackedLinear(torch.nn.Module):
    """What a linear layer computes, for inference on a CPU in float32: (..., in) -> (..., out)."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        # Not a parameter, which could be moved or saved; other layers may ask for its type and shape.
        self.weight: torch.Tensor = weight
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return out


class QuickGELU(torch.nn.Module):
    """CLIP's activation, `x sigmoid(1.702 x)`, with one new tensor instead of three: a sixth of a tower's time."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input.mul(1.702).sigmoid_().mul_(input)


def pack_layers(model: torch.nn.Module) -> None:
    """Replace layers of `model`, in place, by faster ones where there are such; it cannot be trained or moved then."""
    if not (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and platform.machine() in ("x86_64", "AMD64")
    ):
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            # Of a subclass the owner may use the weights itself, as `MultiheadAttention` does.
            if type(child) is torch.nn.Linear and _can_be_packed(child):
                setattr(module, name, PackedLinear(child))
            elif type(child) is QuickGELUActivation:
                setattr(module, name, QuickGELU())


def _can_be_packed(linear: torch.nn.Linear) -> bool:
    return linear.weight.device.type == "cpu" and linear.weight.dtype == torch.float32 and linear.weight.numel() > 0
