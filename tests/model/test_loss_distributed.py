"""The loss over the batch of several gloo processes against the dense loss of the whole batch."""

import pickle
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from openalign.errors import OpenAlignError
from openalign.model.loss import tiles
from openalign.model.loss.contrastive import contrastive_loss
from tests import preloaded
from tests.model.dense_loss import dense_gradients, unit_rows

pytestmark = pytest.mark.slow

WIDTH = 16
TILE = 128  # smaller than ours, so that batches of several tiles are soon compared
TIMEOUT = timedelta(seconds=60)  # what waits for ever is an error after this
COMPUTE = """
import sys
from pathlib import Path
from tests.model.test_loss_distributed import compute
compute(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""
Spoil = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """One batch of all processes, and what its last process does differently."""

    count: int
    temperature: float = 0.1
    with_ids: bool = False
    spoil: Spoil = torch.clone
    last_has_ids: bool = True


def whole_batch(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings and ids of the batch of all processes."""
    generator = torch.Generator().manual_seed(3)
    ids = (torch.randint(0, max(2, count // 2), (count,), generator=generator) for _ in range(2))
    return unit_rows(count, WIDTH, 1), unit_rows(count, WIDTH, 2), *ids


def compute(processes: int, folder: Path, rank: int) -> None:
    """One process: of each case the loss and its gradients in its own rows, or the error it raised, into a file."""
    cases: list[Case] = pickle.loads((folder / "cases.pickle").read_bytes())
    torch.set_num_threads(1)
    tiles.TILE = TILE
    dist.init_process_group("gloo", f"file://{folder}/meeting", timeout=TIMEOUT, rank=rank, world_size=processes)
    torch.save([computed(rank, processes, case) for case in cases], folder / f"{rank}.pt")
    dist.destroy_process_group()


def computed(rank: int, processes: int, case: Case) -> dict[str, Any]:
    x_nD, y_nD, *ids = (rows.chunk(processes)[rank] for rows in whole_batch(case.count))
    last = rank == processes - 1
    if last:
        x_nD, y_nD = case.spoil(x_nD), case.spoil(y_nD)
    image_ids_n, text_ids_n = ids if case.with_ids and (case.last_has_ids or not last) else (None, None)
    leaves = [x_nD, y_nD, torch.tensor(case.temperature, dtype=torch.float64)]
    for leaf in leaves:
        leaf.requires_grad_()
    try:
        loss = contrastive_loss(
            x_nD, y_nD, leaves[2], 0.1, image_ids_N=image_ids_n, text_ids_N=text_ids_n, group=dist.group.WORLD
        )
        return {"loss": loss.detach(), "gradients": torch.autograd.grad(loss, leaves)}
    except OpenAlignError as error:
        return {"error": str(error)}


def run(processes: int, folder: Path, cases: list[Case]) -> list[tuple[dict[str, Any], ...]]:
    """Of each case, what each process found: one start of the processes for all cases."""
    (folder / "cases.pickle").write_bytes(pickle.dumps(cases))
    with ExitStack() as stack:
        command = [sys.executable, "-c", COMPUTE, processes, folder]
        started = [stack.enter_context(preloaded.Popen([*command, rank])) for rank in range(processes)]
        assert [process.wait(120) for process in started] == [0] * processes
    return list(zip(*(torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)), strict=True))


def twice(rows: torch.Tensor) -> torch.Tensor:
    return 2.0 * rows


def shortened(rows: torch.Tensor) -> torch.Tensor:
    return rows[:-1].clone()


def narrowed(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows[:, :-1], dim=1)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_together_compute_the_loss_of_the_whole_batch(processes: int, tmp_path: Path) -> None:
    cases = [
        Case(count, temperature, with_ids)
        for count in (6, 132, 288)  # a few pairs, a tile and a few, and several tiles
        for temperature in (0.005, 0.07, 2.0)
        for with_ids in (False, True)
    ]
    for case, found in zip(cases, run(processes, tmp_path, cases), strict=True):
        x_ND, y_ND, *ids = whole_batch(case.count)
        values = (x_ND, y_ND, torch.tensor(case.temperature, dtype=torch.float64))
        expected, (dx, dy, dt) = dense_gradients(values, 0.1, *(ids if case.with_ids else ()))
        for result in found:
            torch.testing.assert_close(result["loss"], expected, rtol=1e-9, atol=1e-9)
        own = [torch.cat([result["gradients"][index] for result in found]) for index in (0, 1)]
        torch.testing.assert_close(own[0], dx, rtol=1e-7, atol=1e-10)
        torch.testing.assert_close(own[1], dy, rtol=1e-7, atol=1e-10)
        torch.testing.assert_close(sum(result["gradients"][2] for result in found), dt, rtol=1e-7, atol=1e-10)


def test_what_is_wrong_in_one_process_is_raised_in_all(tmp_path: Path) -> None:
    expected = {
        Case(8, spoil=twice): ("Another process", "finite unit vectors"),
        Case(8, spoil=shortened): ("equally many", "equally many"),
        Case(8, spoil=narrowed): ("one width and dtype", "one width and dtype"),
        Case(8, spoil=torch.Tensor.float): ("one width and dtype", "one width and dtype"),
        Case(8, with_ids=True, last_has_ids=False): ("the same kinds of ids", "the same kinds of ids"),
    }
    for (elsewhere, here), found in zip(expected.values(), run(2, tmp_path, list(expected)), strict=True):
        assert elsewhere in found[0]["error"]
        assert here in found[1]["error"]
