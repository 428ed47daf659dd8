"""Going on: from the newest checkpoint that is whole, aloud where it is not the newest, and never half damaged."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from openalign.checksums import CHECKSUMS, read_checksums
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.training.loop import train
from openalign.training.run_folder.checkpoint import checkpoints_of, put_model
from openalign.training.run_folder.plan import newest_whole
from openalign.training.run_folder.prepare import recover
from openalign.training.run_folder.training_state import read_state

pytestmark = pytest.mark.slow

CHECKPOINT_FILES = (
    "README.md",
    "checksums.json",
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "recipe.toml",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_state/optimizer.safetensors",
    "training_state/state.json",
)
STATE, MOMENTS = "training_state/state.json", "training_state/optimizer.safetensors"


def newest(run: Path) -> Path:
    return checkpoints_of(run)[-1]


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def assert_same_end(run: Path, finished: Path) -> None:
    for file in ("model/model.safetensors", f"checkpoints/step-00000004/{MOMENTS}"):
        assert (run / file).read_bytes() == (finished / file).read_bytes(), file


def flip(path: Path, seed: int) -> None:
    content = bytearray(path.read_bytes())
    content[random.Random(seed).randrange(len(content))] ^= 1 << random.Random(seed).randrange(8)
    path.write_bytes(content)


def cut(path: Path, seed: int) -> None:
    path.write_bytes(path.read_bytes()[: random.Random(seed).randrange(path.stat().st_size)])


def test_all_files_of_a_checkpoint_are_damaged_below(run: Path) -> None:
    found = {str(path.relative_to(newest(run))) for path in newest(run).rglob("*") if path.is_file()}
    assert found == set(CHECKPOINT_FILES)


@pytest.mark.parametrize("file", CHECKPOINT_FILES)
@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_file_of_the_newest_checkpoint_is_named_or_without_effect(
    run: Path, file: str, damage: Callable[[Path, int], None]
) -> None:
    for seed in range(20):
        path = newest(run) / file
        before = path.read_bytes()
        damage(path, seed)
        checkpoint, state, damaged = newest_whole(checkpoints_of(run))
        assert state is not None
        if checkpoint == newest(run):
            assert file == CHECKSUMS and json.loads(path.read_bytes()) == json.loads(before), seed
        else:
            assert state.step == 3 and file in damaged[0].reason, seed
        path.write_bytes(before)


@pytest.mark.parametrize("file", ["model.safetensors", MOMENTS, STATE, CHECKSUMS])
def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one_to_the_same_bits(
    run: Path, finished: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(newest(run) / file, 1)
    shutil.rmtree(run / "model")
    train(to=run, resume=True)
    output = capsys.readouterr().err
    assert file in output and "Going on from step 3" in output and "damaged-step-00000004" in output
    assert_same_end(run, finished)
    assert names(run) == ["damaged-step-00000004", "step-00000002", "step-00000003", "step-00000004"]


def test_damaged_checkpoints_are_kept_beside_each_other_and_do_not_count(run: Path, finished: Path) -> None:
    for _ in range(2):
        flip(run / "checkpoints" / "step-00000004" / "model.safetensors", 0)
        flip(run / "checkpoints" / "step-00000003" / "model.safetensors", 0)
        train(to=run, resume=True)
    assert_same_end(run, finished)
    damaged = [f"damaged-step-0000000{step}{again}" for step in (3, 4) for again in ("", ".2")]
    assert names(run) == [*damaged, "step-00000002", "step-00000003", "step-00000004"]


def test_no_whole_checkpoint_is_an_error_and_changes_nothing(run: Path) -> None:
    for checkpoint in checkpoints_of(run):
        flip(checkpoint / "config.json", 3)
    before = sorted(run.rglob("*"))
    with pytest.raises(OpenAlignError, match=r"no checkpoint is whole .*step-00000004.*step-00000002.*config\.json"):
        train(to=run, resume=True)
    assert sorted(run.rglob("*")) == before


def of_an_older_version(run: Path) -> Path:
    """The newest checkpoint without checksums."""
    (newest(run) / CHECKSUMS).unlink()
    return newest(run)


def test_checkpoints_of_an_older_version_without_checksums_are_resumed_with_a_warning(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(newest(run))
    for checkpoint in checkpoints_of(run):
        (checkpoint / CHECKSUMS).unlink()
    state = json.loads((newest(run) / STATE).read_text())
    del state["identity"]
    (newest(run) / STATE).write_text(json.dumps(state))
    train(to=run, resume=True)
    output = capsys.readouterr().err
    assert f"{run}/checkpoints/step-00000003: has no checksums" in output and "it is not checked" in output
    assert_same_end(run, finished)
    assert names(run) == ["step-00000002", "step-00000003", "step-00000004"]


def test_a_checkpoint_whose_checksums_alone_are_missing_is_damaged(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (newest(run) / CHECKSUMS).unlink()
    train(to=run, resume=True)
    assert "step-00000004/checksums.json is missing: it is damaged. Going on from step 3" in capsys.readouterr().err
    assert_same_end(run, finished)


def deeply_nested() -> str:
    return '{"a":' * 20_000 + "1" + "}" * 20_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{", "not JSON"),
        ("", "not JSON"),
        (deeply_nested(), "not JSON"),
        ("{}", "key `step` is missing"),
        ({"step": -4}, "`step` = -4"),
        ({"step": 10**400}, "`step` = 1000"),
        ({"step": "4"}, "`step` = '4'"),
        ({"step": 4.0}, "`step` = 4.0"),
        ({"step": True}, "`step` = True"),
        ({"step": None}, "`step` = None"),
        ({"step": 3}, "has step 3, but its folder is step-00000004"),
        ({"tensors": []}, "`tensors`"),
        ({"tensors": {"nowhere": ["first", "second"]}}, "no optimizer has the moments"),
        ({"numbers": {}}, "no optimizer has the moments"),
        ({"numbers": {"log_temperature": {"step": float("nan")}}}, "step"),
        ({"unknown": 1}, "unknown key `unknown`"),
        ({"identity": 3}, "`identity`"),
    ],
)
def test_an_invalid_state_is_an_error(run: Path, change: str | dict[str, Any], message: str) -> None:
    path = of_an_older_version(run) / STATE
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(OpenAlignError, match=r"state\.json.*" + message):
        read_state(newest(run))
    assert newest_whole(checkpoints_of(run))[0] == checkpoints_of(run)[-2]


def resized(tensor: torch.Tensor) -> torch.Tensor:
    return torch.cat([tensor, tensor])


def poisoned(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[0] = torch.nan
    return tensor


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (MOMENTS, resized, "has shape"),
        (MOMENTS, torch.Tensor.double, "is torch.float64, not float32"),
        (MOMENTS, poisoned, "not finite"),
        (MOMENTS, None, "only here or only in state"),
        ("model.safetensors", poisoned, "not finite"),
        ("model.safetensors", resized, "has shape"),
    ],
)
def test_invalid_tensors_are_an_error(
    run: Path, file: str, change: Callable[[torch.Tensor], torch.Tensor] | None, message: str
) -> None:
    path = of_an_older_version(run) / file
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("text_projection.weight"))
    tensor = tensors.pop(name)
    if change is not None:
        tensors[name] = change(tensor)
    save_file(tensors, path)
    with pytest.raises(OpenAlignError, match=f"text_projection.weight.*{message}"):
        read_state(newest(run))


def test_folders_that_are_no_checkpoints_are_passed_over(run: Path) -> None:
    (run / "checkpoints" / "step-mine").mkdir()
    (run / "checkpoints" / "step-00000009").write_text("a file")
    (run / "checkpoints" / "step-100000000").mkdir()
    assert [path.name for path in checkpoints_of(run)][-2:] == ["step-00000004", "step-100000000"]


def test_what_a_killed_run_had_completed_is_put_in_place_and_the_rest_cleared_away(run: Path, finished: Path) -> None:
    checkpoints = run / "checkpoints"
    (checkpoints / "step-00000004").rename(checkpoints / ".step-00000004.whole")
    shutil.copytree(checkpoints / "step-00000002", checkpoints / ".step-00000005.partial")
    (run / "model").rename(run / ".model.older")
    (run / ".recipe.0123456789ab.partial.toml").write_text("steps =")
    before = (checkpoints / ".step-00000004.whole" / STATE).stat().st_mtime_ns
    train(to=run, resume=True)
    assert names(run) == ["step-00000002", "step-00000003", "step-00000004"]
    assert (newest(run) / STATE).stat().st_mtime_ns == before
    assert not [path for path in run.iterdir() if path.name.startswith(".")]
    assert_same_end(run, finished)


def test_a_model_that_is_older_than_the_newest_checkpoint_is_put_right(run: Path, finished: Path) -> None:
    with whole_folder(run / "model") as folder:
        shutil.copyfile(run / "checkpoints" / "step-00000002" / "model.safetensors", folder / "model.safetensors")
    train(to=run, resume=True)
    assert_same_end(run, finished)


def test_a_damaged_model_does_not_matter(run: Path, finished: Path) -> None:
    shutil.rmtree(newest(run))
    cut(run / "model" / "model.safetensors", 0)
    train(to=run, resume=True)
    assert_same_end(run, finished)


def test_a_damaged_model_is_put_right_where_no_step_is_left_to_do(run: Path, finished: Path) -> None:
    cut(run / "model" / "tokenizer_config.json", 0)
    train(to=run, resume=True)
    assert_same_end(run, finished)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    ("gone", "there"),
    [
        (("checkpoints",), "model, a log of 4 steps"),
        (("checkpoints", "model"), "a log of 4 steps"),
        (("checkpoints", "log.jsonl"), "model"),
        (("checkpoints", "recipe.toml", "model"), "a log of 4 steps"),
    ],
)
def test_a_run_whose_checkpoints_are_gone_is_neither_overwritten_nor_restarted(
    run: Path, finished: Path, resume: bool, gone: tuple[str, ...], there: str
) -> None:
    for name in gone:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    with pytest.raises(OpenAlignError, match=f"run: holds {there}, but no checkpoint .*choose another --to"):
        train(finished.parent / "tiny.toml", to=run, resume=resume)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_checkpoints_set_aside_as_damaged_are_results_too(run: Path, finished: Path) -> None:
    for checkpoint in checkpoints_of(run):
        checkpoint.rename(checkpoint.with_name(f"damaged-{checkpoint.name}"))
    shutil.rmtree(run / "model")
    with pytest.raises(OpenAlignError, match="holds damaged-step-00000002, damaged-step-00000003"):
        train(finished.parent / "tiny.toml", to=run)


def test_a_run_killed_before_its_first_checkpoint_starts_anew_with_a_message(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("checkpoints", "model"):
        shutil.rmtree(run / name)
    (run / "recipe.toml").write_text(
        (run / "recipe.toml").read_text().replace("checkpoint_every_steps = 1", "checkpoint_every_steps = 9")
    )
    train(to=run, resume=True)
    assert "run: has no checkpoint yet; the run starts at step 0" in capsys.readouterr().err
    assert (run / "model" / "model.safetensors").read_bytes() == (finished / "model" / "model.safetensors").read_bytes()


def test_what_a_user_keeps_beside_the_model_stays(run: Path, finished: Path) -> None:
    mine = run / "model" / "mine"
    (mine / "deep").mkdir(parents=True)
    (mine / "deep" / "notes.txt").write_text("mine")
    (run / "model" / "labels.csv").write_text("a,b")
    (run / "model" / "link").symlink_to("nowhere")
    os.mkfifo(mine / "pipe")
    inode = (mine / "deep" / "notes.txt").stat().st_ino
    (run / "model" / "onnx").mkdir()
    (run / "model" / "onnx" / "image.onnx").write_text("exported")
    listed = read_checksums(run / "model")
    for _ in range(2):
        shutil.rmtree(newest(run))
        train(to=run, resume=True)
        assert (mine / "deep" / "notes.txt").stat().st_ino == inode
        assert (run / "model" / "labels.csv").read_text() == "a,b"
        assert (run / "model" / "onnx" / "image.onnx").read_text() == "exported"
        assert (run / "model" / "link").is_symlink() and (mine / "pipe").is_fifo()
        assert read_checksums(run / "model") == listed
    assert_same_end(run, finished)


def replaced_until(run: Path, calls: int) -> int:
    """The status of a process that replaces RUN/model and ends with 9 before one call more of these than `calls`."""
    if (child := os.fork()) != 0:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(30)
    left = iter(range(calls))

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **named: call(*given, **named) if next(left, None) is not None else os._exit(9)

    try:
        for owner, name in ((Path, "rename"), (shutil, "rmtree"), (os, "fsync"), (os, "link")):
            setattr(owner, name, dying(getattr(owner, name)))
        put_model(run, checkpoints_of(run)[0])
        os._exit(0)
    finally:
        os._exit(1)


def test_a_kill_at_any_moment_of_replacing_the_model_keeps_what_a_user_put_there(run: Path) -> None:
    (run / "model" / "mine").mkdir()
    (run / "model" / "mine" / "notes.txt").write_text("mine")
    statuses = []
    for calls in range(100):
        statuses.append(replaced_until(run, calls))
        recover(run)
        assert (run / "model" / "mine" / "notes.txt").read_text() == "mine", calls
        assert (run / "model" / "model.safetensors").is_file(), calls
        if statuses[-1] == 0:
            break
    assert len(statuses) > 20 and statuses == [9] * (len(statuses) - 1) + [0]


def test_a_run_without_its_recipe_goes_on_with_its_checkpoints(
    run: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(newest(run))
    (run / "recipe.toml").unlink()
    train(to=run, resume=True)
    output = capsys.readouterr().err
    assert "recipe.toml: is missing. The recipe of its checkpoint is used instead" in output
    assert_same_end(run, finished)
    assert (run / "recipe.toml").read_bytes() == (finished / "recipe.toml").read_bytes()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", [a_fifo, a_device, Path.mkdir])
def test_a_log_and_a_recipe_that_are_no_regular_files_are_not_opened(
    run: Path, tmp_path: Path, kind: Callable[[Path], None]
) -> None:
    (run / "log.jsonl").unlink()
    kind(run / "log.jsonl")
    with pytest.raises(OpenAlignError, match=r"log\.jsonl: not a regular file"):
        train(to=run, resume=True)
    kind(tmp_path / "odd.toml")
    with pytest.raises(OpenAlignError, match=r"odd\.toml: not a regular file"):
        train(tmp_path / "odd.toml", to=tmp_path / "other")
