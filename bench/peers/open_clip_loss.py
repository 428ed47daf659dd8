"""Forward and backward of one implementation of the loss, in a process of its own; prints seconds and memory as JSON.

    python bench/peers/open_clip_loss.py openalign|open_clip|dense COUNT WIDTH DEVICE REPEATS

All take the same unit rows at temperature 0.0625, in float32. `dense` is the whole matrix of logits and torch's
cross-entropy both ways with label smoothing 0.1, as openalign's; open_clip's ClipLoss has no smoothing, and halves
the sum. Nothing of openalign is imported for a peer.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.0625
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def openalign() -> Loss:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from openalign.model.loss.contrastive import contrastive_loss

    return contrastive_loss


def open_clip() -> Loss:
    from open_clip.loss import ClipLoss

    module = ClipLoss()
    return lambda x_ND, y_ND, temperature: module(x_ND, y_ND, 1.0 / temperature)


def dense() -> Loss:
    def loss(x_ND: Tensor, y_ND: Tensor, temperature: Tensor) -> Tensor:
        z_NN = x_ND @ y_ND.T / temperature
        labels_N = torch.arange(len(z_NN), device=z_NN.device)
        return functional.cross_entropy(z_NN, labels_N, label_smoothing=0.1) + functional.cross_entropy(
            z_NN.T, labels_N, label_smoothing=0.1
        )

    return loss


def inputs(count: int, width: int, device: str) -> list[Tensor]:
    torch.manual_seed(0)
    x_ND, y_ND = (functional.normalize(torch.randn(count, width, device=device), dim=1) for _ in range(2))
    return [leaf.requires_grad_() for leaf in (x_ND, y_ND, torch.tensor(TEMPERATURE, device=device))]


def seconds(loss: Loss, leaves: list[Tensor]) -> float:
    """Of one forward and backward pass; a copy to the host ends it, so that the device is done."""
    for leaf in leaves:
        leaf.grad = None
    began = time.perf_counter()
    loss(*leaves).backward()
    float(leaves[2].grad)
    return time.perf_counter() - began


def measured(loss: Loss, leaves: list[Tensor], repeats: int) -> dict[str, Any]:
    """Seconds of every pass, and what they hold at most beyond the inputs, gradients included."""
    if leaves[0].is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew from what is held now
        before = resident("VmRSS")
    passes = [seconds(loss, leaves) for _ in range(repeats)]
    peak = torch.cuda.max_memory_allocated() if leaves[0].is_cuda else resident("VmHWM")
    return {"seconds": passes, "peak_bytes": peak - before}


def resident(key: str) -> int:
    found = re.search(rf"{key}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return 1024 * int(found[1])


def main() -> None:
    implementation, device = sys.argv[1], sys.argv[4]
    count, width, repeats = (int(sys.argv[index]) for index in (2, 3, 5))
    loss = {"openalign": openalign, "open_clip": open_clip, "dense": dense}[implementation]()
    seconds(loss, inputs(256, width, device))  # libraries load their parts before anything is measured
    print(json.dumps(measured(loss, inputs(count, width, device), repeats)))


if __name__ == "__main__":
    main()
