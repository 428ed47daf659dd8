"""Starting from a trained model: three lines of TOML, and the model brings the rest."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from openalign.errors import OpenAlignError
from openalign.model.hub import load
from openalign.training.loop import train
from openalign.training.recipe.recipe import read_recipe
from tests.model.port_folder import align_base_folder
from tests.training.conftest import write_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a finished run, for copies only."""
    folder = tmp_path_factory.mktemp("first")
    return train(write_set(folder), set={"resize_size": "20"}, to=folder / "run").model


@pytest.fixture
def trained(first: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(first, tmp_path / "first" / "model")


@pytest.fixture
def three_lines(trained: Path, recipe: Path) -> Path:
    path = recipe.with_name("tune.toml")
    path.write_text('start_from = "first/model"\ndata = "pairs.csv"\nsteps = 2\n')
    return path


def test_three_lines_fine_tune_a_model(three_lines: Path, trained: Path, tmp_path: Path) -> None:
    result = train(three_lines, set={"batch_size": "12"}, to=tmp_path / "tuned")
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, result.model))
    assert before.keys() == after.keys()
    moved = (after["text_projection.weight"] - before["text_projection.weight"]).abs().max()
    assert 0.0 < float(moved) < 1e-3
    tuned, start = load(result.model), load(trained)
    assert tuned.width == start.width and tuned.image_size == start.image_size == 16
    assert "fine-tuned from" in (result.model / "README.md").read_text()


def test_the_first_step_starts_from_the_model_as_it_was(three_lines: Path, trained: Path, tmp_path: Path) -> None:
    train(three_lines, set={"batch_size": "12", "optimizer.learning_rate": "1e-12"}, to=tmp_path / "tuned")
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "tuned" / "model"))
    torch.testing.assert_close(before["text_projection.weight"], after["text_projection.weight"])
    torch.testing.assert_close(before["temperature"], after["temperature"])


def test_the_run_keeps_the_recipe_with_what_the_model_brought(three_lines: Path, trained: Path, tmp_path: Path) -> None:
    train(three_lines, set={"batch_size": "12"}, to=tmp_path / "tuned")
    as_run = read_recipe(tmp_path / "tuned" / "recipe.toml")
    assert (as_run.image_size, as_run.resized, as_run.text_tower.width) == (16, 20, 16)
    assert (as_run.optimizer.learning_rate, as_run.optimizer.warmup_steps) == (1e-5, 0)
    assert as_run.tokenizer == str(trained)
    again = train(tmp_path / "tuned" / "recipe.toml", to=tmp_path / "again")
    assert torch.equal(
        *(
            load_file(run / "model.safetensors")["text_projection.weight"]
            for run in (again.model, tmp_path / "tuned" / "model")
        )
    )


def test_a_folder_of_transformers_is_fine_tuned_with_its_old_vocabulary(recipe: Path, tmp_path: Path) -> None:
    align_base_folder(tmp_path / "align-base")
    path = recipe.with_name("port.toml")
    path.write_text(f'start_from = "{tmp_path / "align-base"}"\ndata = "pairs.csv"\nsteps = 2\nbatch_size = 12\n')
    tuned = load(train(path, to=tmp_path / "tuned").model)
    assert tuned.image_size == 24 and (tmp_path / "tuned" / "model" / "tokenizer.json").exists()
    before = load(tmp_path / "align-base").embed_texts(["a red apple"])
    assert 0 < float(abs(tuned.embed_texts(["a red apple"]) - before).max()) < 1e-2


def test_a_tower_that_is_not_the_models_is_refused(three_lines: Path, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=r"`text_tower` is not that of .*leave it out"):
        train(three_lines, set={"text_tower.width": "32"}, to=tmp_path / "tuned")


def test_a_missing_start_is_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=r"nowhere.*neither a folder nor a model"):
        train(recipe, set={"start_from": "./nowhere"}, to=tmp_path / "tuned")


def test_recall_on_held_out_pairs_is_logged(recipe: Path, tmp_path: Path) -> None:
    changes = {"held_out.data": str(recipe.with_name("pairs.csv")), "held_out.every_steps": "3", "held_out.most": "20"}
    train(recipe, set=changes, to=tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    measured = {record["step"]: record["recall"] for record in records if "recall" in record}
    assert list(measured) == [3, 6, 8]
    assert all(0.0 <= value <= 1.0 for value in measured[8].values())
    assert "text_to_image R@1" in measured[8]


def test_measuring_recall_changes_nothing_of_what_is_learned(recipe: Path, tmp_path: Path) -> None:
    changes = {"held_out.data": str(recipe.with_name("pairs.csv")), "held_out.every_steps": "1"}
    plain, watched = (train(recipe, set=given, to=tmp_path / name) for name, given in (("a", {}), ("b", changes)))
    for one, other in zip(
        *(load_file(run.model / "model.safetensors").values() for run in (plain, watched)), strict=True
    ):
        assert torch.equal(one, other)


def test_minutes_call_for_checkpoints_too(recipe: Path, tmp_path: Path) -> None:
    changes = {"checkpoint_every_steps": "100", "checkpoint_every_minutes": "1e-9", "keep_checkpoints": "20"}
    train(recipe, set=changes, to=tmp_path / "run")
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*"))) == 8


def test_a_crop_larger_than_the_resized_image_is_refused_by_the_models_size(three_lines: Path, tmp_path: Path) -> None:
    train(three_lines, set={"batch_size": "12", "resize_size": "17"}, to=tmp_path / "tuned")
    assert read_recipe(tmp_path / "tuned" / "recipe.toml").resized == 17
    with pytest.raises(OpenAlignError, match="image_size 16 is larger than resize_size 15"):
        train(three_lines, set={"batch_size": "12", "resize_size": "15"}, to=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_warm_up_longer_than_the_run_is_told(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(recipe, set={"steps": "2", "optimizer.warmup_steps": "20"}, to=tmp_path / "short")
    assert "warmup_steps = 20 is not less than steps = 2" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(OpenAlignError, match=r"36 pairs are fewer than one batch of 48"):
        train(recipe, set={"batch_size": "48"}, to=tmp_path / "large")
