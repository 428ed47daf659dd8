"""One run in several processes: who this one is, and a model whose gradients are sums over all of them.

`torchrun` starts the processes and tells each its rank; without it a run is one process, and nothing here costs time.
Each process takes its slice of every batch. The loss is that of the whole batch, and each process holds its own part of
every gradient (see `contrastive_loss`), so gradients are summed, never averaged.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from openalign.errors import OpenAlignError, ReportedElsewhere
from openalign.model.align import Align

T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)  # rank 0 may write a large checkpoint while the others wait


class LostProcess(OpenAlignError):
    """Another process of the run has ended, so that nothing can be exchanged with it."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them. `group` is None in a run of one."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    group: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """`tensor`, in place, as its sum over all processes."""
        if self.group is not None:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process has it set; all processes get the same answer."""
        if self.group is None:
            return list(flags)
        counts = self.sum(torch.tensor([int(flag) for flag in flags], device=self.device))
        return [bool(count) for count in counts.tolist()]

    def from_first(self, call: Callable[[], T]) -> T:
        """What `call` returns in the first process, in all of them; it must survive pickling.

        Raises:
            OpenAlignError: `call` raised one; in the other processes `ReportedElsewhere`.
        """
        if self.group is None:
            return call()
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = call()
            except OpenAlignError as error:
                dist.broadcast_object_list([None, str(error)], src=0, group=self.group)
                raise
        dist.broadcast_object_list(answer, src=0, group=self.group)
        if answer[1] is not None:
            raise ReportedElsewhere(answer[1])
        result: T = answer[0]
        return result

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Run the block in the first process, then in the others: it may prepare files that they then find."""
        if not self.first and self.group is not None:
            dist.barrier(self.group)
        yield
        if self.first and self.group is not None:
            dist.barrier(self.group)


ALONE = Processes()
"""A run of one process on the CPU."""


@contextmanager
def processes() -> Iterator[Processes]:
    """This process among those that torchrun started: nccl on GPUs, one each, gloo on CPUs.

    Raises:
        LostProcess: another one ended, or did not come, while this one waited for it.
    """
    cuda = torch.cuda.is_available()
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield Processes(device=torch.device("cuda" if cuda else "cpu"))
        return
    device = _own_gpu() if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
        yield Processes(dist.get_rank(), dist.get_world_size(), device, dist.group.WORLD)
    except RuntimeError as error:
        if not _is_of_a_lost_process(error):
            raise
        raise LostProcess(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} stops, since another one has ended"
        ) from None
    finally:
        with suppress(RuntimeError):  # the group may be broken, or not have come about
            dist.destroy_process_group()


def _is_of_a_lost_process(error: RuntimeError) -> bool:
    """gloo has no exception of its own; its messages begin with the file they come from."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text


def _own_gpu() -> torch.device:
    """The GPU of this process among those of its host."""
    place, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= count:
        raise OpenAlignError(
            f"torchrun started process {place + 1} on this host, which has {count} GPUs: each needs one of its own. "
            "Lower --nproc-per-node, or set CUDA_VISIBLE_DEVICES= (empty) to train on the CPU."
        )
    return torch.device("cuda", place)


class Replica:
    """This process's model, whole (DDP) or its share of it (FSDP2), called as `Align` is."""

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
        """What a loss is multiplied by before its backward pass: both wrappers average over the processes."""
        return float(self.processes.world_size)

    @contextmanager
    def exchanging(self, wanted: bool) -> Iterator[None]:
        """Whether backward passes in the block end with the sum over processes, or keep adding up here."""
        if isinstance(self._towers, DistributedDataParallel) and not wanted:
            with self._towers.no_sync():
                yield
            return
        if isinstance(self._towers, FSDPModule):
            self._towers.set_requires_gradient_sync(wanted)
        yield

    def finish_gradients(self) -> Tensor:
        """Bring the gradients that no wrapper exchanged to their sum; returns the norm of the whole gradient, ()."""
        temperature = self.model.log_temperature.grad
        if isinstance(self._towers, FSDPModule) and temperature is not None:
            self.processes.sum(temperature).div_(self.gradient_scale)
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norms = [whole(norm) for norm in torch._foreach_norm(gradients)]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm


def _shard(model: Align) -> None:
    """FSDP2: every block of both towers is gathered when its turn comes, and freed after it.

    Weights travel in float32, also where the arithmetic is bfloat16: batch norm must keep its weights in float32 beside
    its running averages.
    """
    layers: list[nn.Module] = [*model.vision_model.encoder.blocks, *model.text_model.encoder.layer]
    for module in layers:
        fully_shard(module)
    # A scalar cannot be cut; every process keeps the temperature whole.
    fully_shard(model, ignored_params={model.log_temperature})
    for method in ("embed_images", "embed_texts"):
        register_fsdp_forward_method(model, method)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that FSDP cut, put together again (all processes must ask); any other as it is."""
    return torch.as_tensor(tensor.full_tensor()) if isinstance(tensor, DTensor) else tensor
