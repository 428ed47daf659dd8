"""Runs in several processes, as torchrun starts them, on loopback: gloo, or NCCL where each has a GPU."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openalign.errors import OpenAlignError
from openalign.training.loop import train
from openalign.training.optimization.processes import processes
from tests import preloaded
from tests.training.conftest import write_set
from tests.training.two_processes import end_of_two, start_two, torchrun

pytestmark = pytest.mark.slow

COMMAND = """
import json, sys
from openalign.progress import shown_messages
from openalign.training.loop import train
with shown_messages():
    train(sys.argv[1], to=sys.argv[2], set=json.loads(sys.argv[3]), resume=True)
"""
BASE = {"steps": "5", "checkpoint_every_steps": "5", "batch_norm_group": "3", "micro_batch_size": "6"}
# A bias in front of a batch norm has no gradient but rounding errors, which a small epsilon would blow up.
BASE |= {"optimizer.epsilon": "1e-3", "optimizer.learning_rate": "2e-3"}


@pytest.fixture(autouse=True)
def no_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes need a GPU each: where there is one, they and what they are compared with run on the CPU."""
    if torch.cuda.device_count() == 1:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def run_by_torchrun(recipe: Path, run: Path, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Train in two processes on this machine."""
    script = run.with_suffix(".py")
    script.write_text(COMMAND)
    return preloaded.run(torchrun(script, recipe, run, json.dumps(changes)), timeout=240)


def run_on_two(recipe: Path, run: Path, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The same without torchrun."""
    processes = start_two(command := [sys.executable, "-c", COMMAND, recipe, run, json.dumps(changes)])
    errors = "".join(end_of_two(processes))
    return subprocess.CompletedProcess(command, max(abs(process.returncode) for process in processes), "", errors)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def assert_close_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run of one process with BASE and a size of micro-batches, made once; not to be changed."""
    folder = tmp_path_factory.mktemp("alone")
    recipe = write_set(folder)

    def trained(micro_batch_size: str) -> Path:
        run = folder / micro_batch_size
        if not run.exists():
            train(recipe, set=BASE | {"micro_batch_size": micro_batch_size}, to=run)
        return run

    return trained


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize("micro_batch_size", ["6", "3"])
def test_two_processes_equal_one_with_the_same_batch(
    recipe: Path, tmp_path: Path, alone: Callable[[str], Path], parallel: str, micro_batch_size: str
) -> None:
    changes = BASE | {"micro_batch_size": micro_batch_size, "parallel": f'"{parallel}"'}
    done = run_on_two(recipe, tmp_path / "two", changes)
    assert done.returncode == 0, done.stderr
    assert_close_weights(alone(micro_batch_size), tmp_path / "two")


def test_a_run_resumed_on_two_processes_sees_the_same_samples(recipe: Path, tmp_path: Path) -> None:
    changes = BASE | {"steps": "6", "checkpoint_every_steps": "3"}
    train(recipe, set=changes, to=tmp_path / "one")
    train(recipe, set=changes, to=tmp_path / "moved")
    for path in (tmp_path / "moved" / "checkpoints").glob("step-*6"):
        path.rename(path.with_name("gone"))
    done = run_by_torchrun(recipe, tmp_path / "moved", changes)
    assert done.returncode == 0, done.stderr
    assert_close_weights(tmp_path / "one", tmp_path / "moved")


def test_all_processes_go_on_from_the_checkpoint_before_a_damaged_one(recipe: Path, tmp_path: Path) -> None:
    changes = BASE | {"steps": "6", "checkpoint_every_steps": "3"}
    train(recipe, set=changes, to=tmp_path / "one")
    train(recipe, set=changes, to=tmp_path / "two")
    (tmp_path / "two" / "checkpoints" / "step-00000006" / "config.json").write_text("{}")
    done = run_on_two(recipe, tmp_path / "two", changes)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Going on from step 3") == 1
    assert_close_weights(tmp_path / "one", tmp_path / "two")


def test_another_recipe_is_refused_by_one_process_for_all(recipe: Path, tmp_path: Path) -> None:
    train(recipe, set=BASE, to=tmp_path / "run")
    done = run_on_two(recipe, tmp_path / "run", BASE | {"seed": "3"})
    assert done.returncode != 0
    assert "`seed` = 0, not 3" in done.stderr


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_bfloat16_arithmetic_stays_near_float32(
    recipe: Path, tmp_path: Path, alone: Callable[[str], Path], parallel: str
) -> None:
    changes = BASE | {"parallel": f'"{parallel}"', "precision": '"bfloat16"'}
    done = run_on_two(recipe, tmp_path / "bfloat16", changes)
    assert done.returncode == 0, done.stderr
    float32, bfloat16 = weights(alone("6")), weights(tmp_path / "bfloat16")
    assert any(not torch.equal(bfloat16[name], tensor) for name, tensor in float32.items())
    for name, tensor in float32.items():
        torch.testing.assert_close(bfloat16[name], tensor, rtol=0.1, atol=0.1)


def test_a_model_cut_across_processes_is_measured_as_a_whole_one(recipe: Path, tmp_path: Path) -> None:
    changes = BASE | {"held_out.data": str(recipe.with_name("pairs.csv")), "held_out.every_steps": "2"}
    train(recipe, set=changes, to=tmp_path / "one")
    done = run_on_two(recipe, tmp_path / "two", changes | {"parallel": '"fsdp"'})
    assert done.returncode == 0, done.stderr
    recalls = [
        [
            record["recall"]
            for line in (tmp_path / run / "log.jsonl").read_text().splitlines()
            if "recall" in (record := json.loads(line))
        ]
        for run in ("one", "two")
    ]
    assert len(recalls[0]) == len(recalls[1]) == 3
    for one, two in zip(*recalls, strict=True):
        assert two == pytest.approx(one, abs=0.06)  # a near tie may fall either way


def test_an_uneven_share_is_refused(recipe: Path, tmp_path: Path) -> None:
    done = run_on_two(recipe, tmp_path / "run", BASE | {"batch_size": "15", "micro_batch_size": "15"})
    assert done.returncode != 0
    assert "batch_size 15 does not divide by 2 processes" in done.stderr


def test_a_process_without_its_own_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OpenAlignError, match=r"process 2 on this host.*Lower --nproc-per-node"), processes():
        pass
