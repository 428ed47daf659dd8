"""The run: what it writes, that it learns, and that a killed run goes on as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openalign.data.loading.loader import Batch
from openalign.errors import OpenAlignError
from openalign.model.align import Align
from openalign.model.hub import load
from openalign.training import steps
from openalign.training.loop import train
from openalign.training.optimization.replica import Replica
from openalign.training.run_folder.checkpoint import checkpoints_of
from tests import preloaded

pytestmark = pytest.mark.slow

COMMAND = """
import sys
from openalign.progress import shown_messages
from openalign.training.loop import train
with shown_messages():
    train(sys.argv[1], to=sys.argv[2], resume=True)
"""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def assert_equal_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_writes_model_checkpoints_log_and_recipe(recipe: Path, tmp_path: Path) -> None:
    result = train(recipe, to=tmp_path / "run")
    assert result.steps == 8
    assert load(tmp_path / "run").width == 16
    assert [path.name for path in checkpoints_of(tmp_path / "run")] == [
        "step-00000004",
        "step-00000006",
        "step-00000008",
    ]
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == list(range(1, 9))
    assert all(0.0 <= record["waiting_for_loader"] <= 1.0 for record in records)
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert train(tmp_path / "run" / "recipe.toml", to=tmp_path / "again").loss == result.loss


def test_pairs_left_out_of_the_data_are_reported(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "pairs.csv").open("ab") as table:
        table.write(b"0.jpg,x,y\n" * 7)
    train(recipe, to=tmp_path / "run", set={"steps": "1", "workers": "0"})
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("Left out: ", "... and"))]
    first = f"{tmp_path}/pairs.csv row 37 has 3 fields where 2 are expected, and is left out"
    assert shown[0] == f"Left out: 7 rows that cannot be parsed (16 %): {first}"
    assert len(shown) == 3


def test_pairs_left_out_of_the_held_out_data_are_reported(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "heldout.csv").write_bytes((tmp_path / "pairs.csv").read_bytes() + b"0.jpg,x,y\n")
    held_out = {"held_out.data": f'"{tmp_path}/heldout.csv"', "held_out.every_steps": "1"}
    train(recipe, to=tmp_path / "run", set={"steps": "1", "workers": "0"} | held_out)
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Left out: ")]
    assert shown == [
        f"Left out: 1 rows that cannot be parsed: {tmp_path}/heldout.csv row 37 has 3 fields where 2 are expected, and "
        "is left out"
    ]


def test_a_short_run_learns_its_pairs(recipe: Path, tmp_path: Path) -> None:
    changes = {"steps": "40", "batch_size": "36", "checkpoint_every_steps": "40", "loss.label_smoothing": "0.0"}
    changes |= {
        "optimizer.name": "adamw",
        "image_tower.drop_path": "0.0",
        "text_tower.dropout": "0.0",
        "optimizer.learning_rate": "0.02",
    }
    result = train(recipe, set=changes, to=tmp_path / "run")
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])["loss"]
    assert result.loss < 0.7 * first


def test_cached_images_change_nothing(recipe: Path, tmp_path: Path) -> None:
    train(recipe, to=tmp_path / "plain")
    train(recipe, set={"cache_images": "true", "workers": "2"}, to=tmp_path / "cached")
    assert_equal_weights(tmp_path / "plain", tmp_path / "cached")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_run_resumes_to_the_same_bits(recipe: Path, tmp_path: Path, seed: int) -> None:
    changes = {"seed": str(seed), "steps": "24"}
    train(recipe, set=changes, to=tmp_path / "whole")
    own = recipe.with_name("killed.toml")
    own.write_text(recipe.read_text().replace("steps = 8", f"seed = {seed}\nsteps = 24", 1))

    killed = tmp_path / "killed"
    process = preloaded.Popen([sys.executable, "-c", COMMAND, own, killed], start_new_session=True)
    deadline = time.monotonic() + 120
    stop_after = random.Random(seed).randrange(2, 18)
    log = killed / "log.jsonl"
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and len(log.read_text().splitlines()) >= stop_after:
            break
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert preloaded.run([sys.executable, "-c", COMMAND, own, killed]).returncode == 0

    assert_equal_weights(tmp_path / "whole", killed)
    logged = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert logged == list(range(1, 25))


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_signal_leaves_a_checkpoint_and_the_command_to_resume(
    recipe: Path, tmp_path: Path, asked: signal.Signals, whole_group: bool
) -> None:
    own = recipe.with_name("long.toml")
    own.write_text(recipe.read_text().replace("steps = 8", "steps = 5000").replace("steps = 2\n", "steps = 5000\n", 1))
    run = tmp_path / "run"
    process = preloaded.Popen([sys.executable, "-c", COMMAND, own, run], stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not ((run / "log.jsonl").exists() and (run / "log.jsonl").read_text()):
        time.sleep(0.02)
    os.killpg(process.pid, asked) if whole_group else process.send_signal(asked)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert f"go on with `resume=True, to='{run}'`" in errors
    assert "DataLoader" not in errors
    assert len(checkpoints_of(run)) == 1


def test_a_second_run_into_the_same_folder_is_refused(recipe: Path, tmp_path: Path) -> None:
    train(recipe, to=tmp_path / "run")
    with pytest.raises(OpenAlignError, match="already holds a run; add --resume"):
        train(recipe, to=tmp_path / "run")


def test_resuming_with_a_model_of_another_shape_is_refused(recipe: Path, tmp_path: Path) -> None:
    train(recipe, to=tmp_path / "run")
    with pytest.raises(OpenAlignError, match="model of another shape"):
        train(to=tmp_path / "run", resume=True, change={"text_tower.width": "32"})


def poison_weights(model: Align) -> None:
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)


def poison_gradients(model: Align) -> None:
    model.text_projection.weight.register_hook(lambda gradient: gradient * torch.nan)


@pytest.mark.parametrize("poison", [poison_weights, poison_gradients])
def test_a_step_that_is_not_finite_stops_the_run_and_names_step_and_samples(
    poison: Callable[[Align], None], recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_step = steps.train_step

    def poisoned(replica: Replica, optimizer: object, batch: Batch, settings: object) -> object:
        if batch.step == 4:
            poison(replica.model)
        return plain_step(replica, optimizer, batch, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "train_step", poisoned)
    with pytest.raises(OpenAlignError, match=r"Step 5 diverged.*pairs\.csv row.*step-00000004"):
        train(recipe, to=tmp_path / "run")


def test_fewer_pairs_than_a_batch_is_an_error_with_advice(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="fewer than one batch of 64"):
        train(recipe, set={"batch_size": "64"}, to=tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"micro_batch_size": "5"}, "micro_batch_size 5 does not divide the 12 pairs"),
        ({"micro_batch_size": "6", "batch_norm_group": "4"}, "batch_norm_group 4 does not divide the 6 pairs"),
    ],
)
def test_parts_that_do_not_divide_the_batch_are_refused(
    recipe: Path, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(OpenAlignError, match=message):
        train(recipe, set=changes, to=tmp_path / "run")


def test_where_keeps_only_the_named_rows(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="1 pairs are fewer"):
        train(recipe, set={"where": '{text = "a red square number 0"}'}, to=tmp_path / "run")
    with pytest.raises(OpenAlignError, match="no column `split`"):
        train(recipe, set={"where": '{split = "train"}'}, to=tmp_path / "run")
