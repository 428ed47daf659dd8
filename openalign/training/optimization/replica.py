"""A model in several processes: each takes its slice of every batch, and gradients are summed over all of them.

The loss is that of the whole batch, and each process holds its own part of every gradient (see `contrastive_loss`), so
gradients are summed, never averaged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from openalign.model.align import Align
from openalign.training.optimization.processes import Processes


class Replica:
    """This process's copy (DDP) or shard (FSDP2) of the model, called like `Align`."""

    def __init__(self, model: Align, processes: Processes, parallel: Literal["ddp", "fsdp"], precision: str) -> None:
        self.model = model
        self.processes = processes
        self._autocast = precision == "bfloat16"
        self._towers: nn.Module = model
        if processes.group is not None and parallel == "ddp":
            self._towers = DistributedDataParallel(
                model, process_group=processes.group, broadcast_buffers=False, gradient_as_bucket_view=True
            )
        elif processes.group is not None:
            _shard(model)

    def __call__(self, images_BHWC: Tensor, ids_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Both embeddings, (B, D) each, of this process's pairs."""
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self._autocast):
            embeddings: tuple[Tensor, Tensor] = self._towers(images_BHWC, ids_BT, mask_BT)
        return embeddings

    @property
    def gradient_scale(self) -> float:
        """Factor of a loss before its backward pass: both wrappers average gradients over the processes."""
        return float(self.processes.world_size)

    @contextmanager
    def exchanging(self, wanted: bool) -> Iterator[None]:
        """Reduce gradients over the processes at the end of backward passes in the block, or accumulate them here."""
        if isinstance(self._towers, DistributedDataParallel) and not wanted:
            with self._towers.no_sync():
                yield
            return
        if isinstance(self._towers, FSDPModule):
            self._towers.set_requires_gradient_sync(wanted)
        yield

    def finish_gradients(self) -> Tensor:
        """Sum the gradients that the wrappers do not reduce. Returns the norm of the whole gradient, ()."""
        temperature = self.model.log_temperature.grad
        if isinstance(self._towers, FSDPModule) and temperature is not None:
            self.processes.sum(temperature).div_(self.gradient_scale)
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norms = [full_tensor(norm) for norm in torch._foreach_norm(gradients)]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm


def _shard(model: Align) -> None:
    """Apply FSDP2: every block of both towers is gathered before it runs and freed after it.

    Weights are exchanged in float32 even where the arithmetic is bfloat16: batch norm needs float32 weights beside its
    running averages.
    """
    layers: list[nn.Module] = [*model.vision_model.encoder.blocks, *model.text_model.encoder.layer]
    for module in layers:
        fully_shard(module)
    # A scalar cannot be sharded: every process keeps the temperature.
    fully_shard(model, ignored_params={model.log_temperature})
    for method in ("embed_images", "embed_texts"):
        register_fsdp_forward_method(model, method)


def full_tensor(tensor: Tensor) -> Tensor:
    """A sharded tensor, gathered (all processes must call this); any other tensor unchanged."""
    return torch.as_tensor(tensor.full_tensor()) if isinstance(tensor, DTensor) else tensor
