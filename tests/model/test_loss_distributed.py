"""The loss over the batch of several gloo processes against the dense loss of the whole batch."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from openalign.errors import OpenAlignError
from openalign.model.loss import contrastive_loss
from tests.model.dense_loss import dense_gradients, unit_rows

WIDTH = 16


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes started here import this module by its name."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def whole_batch(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings and ids of the batch of all processes."""
    generator = torch.Generator().manual_seed(3)
    ids = (torch.randint(0, max(2, count // 2), (count,), generator=generator) for _ in range(2))
    return unit_rows(count, WIDTH, 1), unit_rows(count, WIDTH, 2), *ids


def compute(rank: int, processes: int, folder: Path, case: dict[str, Any]) -> None:
    """One process: the loss and its gradients in its own rows, into a file; or the sentence it raised."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=processes)
    x_ND, y_ND, image_ids_N, text_ids_N = (rows.chunk(processes)[rank] for rows in whole_batch(case["count"]))
    if rank == case.get("spoilt"):
        x_ND = case["spoil"](x_ND)
        y_ND = y_ND[: len(x_ND)]
    leaves = [x_ND.requires_grad_(), y_ND.requires_grad_(), torch.tensor(case["temperature"], dtype=torch.float64)]
    leaves[2].requires_grad_()
    ids = {"image_ids_N": image_ids_N, "text_ids_N": text_ids_N} if case["with_ids"] else {}
    try:
        loss = contrastive_loss(*leaves, 0.1, group=dist.group.WORLD, **ids)  # type: ignore[misc]
        torch.save({"loss": loss.detach(), "gradients": torch.autograd.grad(loss, leaves)}, folder / f"{rank}.pt")
    except OpenAlignError as error:
        torch.save({"error": str(error)}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def run(processes: int, folder: Path, **case: Any) -> list[dict[str, Any]]:
    multiprocessing.start_processes(compute, (processes, folder, case), nprocs=processes, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]


def twice(rows: torch.Tensor) -> torch.Tensor:
    return 2.0 * rows


def shortened(rows: torch.Tensor) -> torch.Tensor:
    return rows[:-1]


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize(("temperature", "with_ids"), [(0.005, False), (0.07, True), (2.0, False)])
def test_processes_together_compute_the_loss_of_the_whole_batch(
    processes: int, temperature: float, with_ids: bool, tmp_path: Path
) -> None:
    found = run(processes, tmp_path, count=1038, temperature=temperature, with_ids=with_ids)
    x_ND, y_ND, *ids = whole_batch(1038)
    values = (x_ND, y_ND, torch.tensor(temperature, dtype=torch.float64))
    expected, (dx, dy, dt) = dense_gradients(values, 0.1, *(ids if with_ids else ()))
    for result in found:
        torch.testing.assert_close(result["loss"], expected, rtol=1e-9, atol=1e-9)
    own = [torch.cat([result["gradients"][place] for result in found]) for place in (0, 1)]
    torch.testing.assert_close(own[0], dx, rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(own[1], dy, rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(sum(result["gradients"][2] for result in found), dt, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    ("spoil", "here", "elsewhere"),
    [(twice, "finite unit vectors", "Another process"), (shortened, "equally many", "equally many")],
)
def test_what_is_wrong_in_one_process_is_raised_in_all(spoil: Any, here: str, elsewhere: str, tmp_path: Path) -> None:
    found = run(2, tmp_path, count=8, temperature=0.1, with_ids=False, spoilt=1, spoil=spoil)
    assert here in found[1]["error"]
    assert elsewhere in found[0]["error"]
