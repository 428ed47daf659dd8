"""What holds on a CPU holds on a GPU: equal bits in equal runs, exact resume, exact micro-batches, compiled towers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openalign.training.loop import train
from openalign.training.run_folder.checkpoint import checkpoints_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU with CUDA here")

STILL = {"image_tower.drop_path": "0.0", "text_tower.dropout": "0.0"}
# A bias in front of a batch norm has no gradient but rounding errors, which a small epsilon would blow up.
SMOOTH = {"optimizer.name": "adamw", "optimizer.epsilon": "1e-3", "optimizer.learning_rate": "2e-3"}


@pytest.fixture
def whole_float32() -> Iterator[None]:
    """Convolutions without TF32, so that they can be compared at 1e-5."""
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = True


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def assert_equal(one: Path, other: Path, tolerance: float = 0.0) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(
            tensor, theirs[name], rtol=tolerance, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_repeats_and_resumes_to_the_same_bits(recipe: Path, tmp_path: Path, precision: str) -> None:
    changes = {"precision": precision, "steps": "24", "checkpoint_every_steps": "8"}
    train(recipe, set=changes, to=tmp_path / "one")
    train(recipe, set=changes, to=tmp_path / "other")
    assert_equal(tmp_path / "one", tmp_path / "other")
    for late in checkpoints_of(tmp_path / "other")[1:]:
        shutil.rmtree(late)
    train(recipe, set=changes, to=tmp_path / "other", resume=True)
    assert_equal(tmp_path / "one", tmp_path / "other")


@pytest.mark.usefixtures("whole_float32")
def test_micro_batches_change_nothing(recipe: Path, tmp_path: Path) -> None:
    changes = STILL | SMOOTH | {"batch_norm_group": "3"}
    train(recipe, set=changes, to=tmp_path / "whole")
    train(recipe, set=changes | {"micro_batch_size": "3"}, to=tmp_path / "parts")
    assert_equal(tmp_path / "whole", tmp_path / "parts", 1e-5)


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("change", ["compile", "recompute_activations"])
def test_compiled_and_recomputed_towers_learn_the_same(recipe: Path, tmp_path: Path, change: str) -> None:
    train(recipe, set=STILL | SMOOTH, to=tmp_path / "plain")
    train(recipe, set=STILL | SMOOTH | {change: "true"}, to=tmp_path / "changed")
    assert_equal(tmp_path / "plain", tmp_path / "changed", 1e-4)


def test_bfloat16_stays_near_float32(recipe: Path, tmp_path: Path) -> None:
    losses = [
        train(recipe, set=STILL | SMOOTH | {"precision": name}, to=tmp_path / name).loss
        for name in ("float32", "bfloat16")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
