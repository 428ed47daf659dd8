"""The processes of a run, as torchrun starts them, and their collectives; without torchrun a run is one process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from openalign.errors import OpenAlignError, ReportedElsewhere

T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)  # rank 0 may write a large checkpoint while the others wait


class LostProcess(OpenAlignError):
    """Another process of the run has ended, so that collectives fail."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them. `group` is None in a run of one process."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    group: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints messages."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Replace `tensor`, in place, by its sum over all processes."""
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
        """Call `call` in the first process and return its result, which must be picklable, in all of them.

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
        """Run the block in the first process, then in the others, so that they find the files it has written."""
        if not self.first and self.group is not None:
            dist.barrier(self.group)
        yield
        if self.first and self.group is not None:
            dist.barrier(self.group)


ALONE = Processes()
"""A run of one process on the CPU."""


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the processes that torchrun started: NCCL with one GPU each, gloo on CPUs.

    Raises:
        LostProcess: another process ended, or did not start, while this one waited for it.
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
        with suppress(RuntimeError):  # the group may be broken, or was never complete
            dist.destroy_process_group()


def _is_of_a_lost_process(error: RuntimeError) -> bool:
    """Gloo has no exception type of its own; its messages begin with the path of its source file."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text


def _own_gpu() -> torch.device:
    """The GPU of this process among those of its host."""
    local_rank, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local_rank >= count:
        raise OpenAlignError(
            f"torchrun started process {local_rank + 1} on this host, which has {count} GPUs: each needs one of its "
            "own. Lower --nproc-per-node, or set CUDA_VISIBLE_DEVICES= (empty) to train on the CPU."
        )
    return torch.device("cuda", local_rank)
