"""A resumed run takes its own recipe and its own data; what decides the weights changes only on purpose."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from openalign.checksums import checksum_file
from openalign.errors import OpenAlignError
from openalign.training.loop import train
from openalign.training.recipe.changes import FREE, differences
from openalign.training.recipe.recipe import Recipe, read_recipe
from openalign.training.run_folder.checkpoint import checkpoints_of
from tests import preloaded


@pytest.fixture
def cut_short(run: Path) -> Path:
    """The run without its last step."""
    shutil.rmtree(checkpoints_of(run)[-1])
    return run


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def files_of(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("*")}


@pytest.mark.slow
def test_the_recipe_may_be_left_out(cut_short: Path, finished: Path) -> None:
    before = (cut_short / "recipe.toml").read_bytes()
    assert train(to=cut_short, resume=True).steps == 4
    assert weights(cut_short) == weights(finished)
    assert (cut_short / "recipe.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimizer.learning_rate": "0.02"}, "`optimizer.learning_rate` = 0.01, not 0.02"),
        ({"steps": "9"}, "`steps` = 4, not 9"),
        ({"seed": "1", "batch_size": "6"}, "`batch_size` = 4, not 6, `seed` = 0, not 1"),
        ({"where": '{text = "x"}'}, r'`where` = \{\}, not \{text = "x"\}'),
        ({"optimizer.name": "sgd"}, '`optimizer.name` = "lamb", not "sgd"'),
        ({"text_tower.width": "32"}, "`text_tower.width` = 16, not 32"),
        ({"data": "/elsewhere/pairs.csv"}, '`data` = .*pairs.csv", not "/elsewhere/pairs.csv"'),
        ({"micro_batch_size": "2"}, "`micro_batch_size` = none, not 2"),
    ],
)
def test_another_recipe_is_refused_with_both_values_and_nothing_changed(
    cut_short: Path, changes: dict[str, str], named: str
) -> None:
    before = files_of(cut_short)
    with pytest.raises(OpenAlignError, match=f"run: its recipe has {named}: leave.*--change"):
        train(set=changes, to=cut_short, resume=True)
    assert files_of(cut_short) == before


@pytest.mark.slow
def test_a_recipe_that_is_given_is_compared_too(cut_short: Path, finished: Path) -> None:
    small = {"steps": "4", "checkpoint_every_steps": "1", "workers": "0", "batch_size": "4"}
    with pytest.raises(OpenAlignError, match=r"`steps` = 4, not 8, `batch_size` = 4, not 12"):
        train(finished.parent / "tiny.toml", to=cut_short, resume=True)
    train(finished.parent / "tiny.toml", set=small, to=cut_short, resume=True)
    assert weights(cut_short) == weights(finished)


def test_a_change_on_purpose_is_followed_and_the_older_recipe_kept(cut_short: Path) -> None:
    older = (cut_short / "recipe.toml").read_bytes()
    assert train(to=cut_short, resume=True, change={"steps": "6", "optimizer.learning_rate": "0.02"}).steps == 6
    assert (cut_short / "recipe.before-step-00000003.toml").read_bytes() == older
    now = read_recipe(cut_short / "recipe.toml")
    assert (now.steps, now.optimizer.learning_rate) == (6, 0.02)


@pytest.mark.slow
def test_another_optimizer_begins_without_the_moments_of_the_one_before(
    cut_short: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(to=cut_short, resume=True, change={"optimizer.name": "adamw"}).steps == 4
    assert "of another optimizer" in capsys.readouterr().err


FREELY = {
    "workers": "1",
    "cache_images": "true",
    "strict": "true",
    "held_out.data": "pairs.csv",
    "checkpoint_every_steps": "3",
    "checkpoint_every_minutes": "1e-9",
    "keep_checkpoints": "1",
    "log_every_steps": "3",
}


def test_each_free_setting_is_tried_below() -> None:
    assert {key.partition(".")[0] for key in FREELY} == FREE.keys()
    assert FREE.keys() <= Recipe.model_fields.keys()


@pytest.mark.slow
@pytest.mark.parametrize("key", FREELY)
def test_settings_that_change_no_result_are_free(cut_short: Path, finished: Path, key: str) -> None:
    value = str(finished.parent / "pairs.csv") if key == "held_out.data" else FREELY[key]
    train(set={key: value}, to=cut_short, resume=True)
    assert weights(cut_short) == weights(finished)
    assert not list(cut_short.glob("recipe.before*"))
    assert read_recipe(cut_short / "recipe.toml") != read_recipe(finished / "recipe.toml")


def test_every_other_setting_of_a_recipe_counts_as_a_difference(finished: Path) -> None:
    recipe = read_recipe(finished / "recipe.toml")
    for name, field in Recipe.model_fields.items():
        value = getattr(recipe, name)
        other = (
            value.model_copy(update={next(iter(type(value).model_fields)): None})
            if isinstance(value, BaseModel)
            else "x"
        )
        found = [each.key.partition(".")[0] for each in differences(recipe, recipe.model_copy(update={name: other}))]
        assert found == ([] if name in FREE else [name]), (name, field)


@pytest.fixture
def own_set(cut_short: Path, finished: Path, tmp_path: Path) -> Path:
    """The table of that run's set, copied, which it goes on with."""
    for path in finished.parent.iterdir():
        if path.is_file():
            shutil.copyfile(path, tmp_path / path.name)
    for file in [cut_short / "recipe.toml", *cut_short.glob("checkpoints/*/recipe.toml")]:
        file.write_text(file.read_text().replace(str(finished.parent), str(tmp_path)))
    for file in cut_short.glob("checkpoints/*/checksums.json"):
        file.unlink()
    return tmp_path / "pairs.csv"


@pytest.mark.slow
def test_other_pairs_under_the_same_name_are_refused(cut_short: Path, own_set: Path) -> None:
    lines = own_set.read_text().splitlines()
    own_set.write_text("\n".join(lines[:-1]))
    with pytest.raises(OpenAlignError, match=r"pairs\.csv: holds 35 pairs, not 36, others than .*--change data="):
        train(to=cut_short, resume=True)
    own_set.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    with pytest.raises(OpenAlignError, match=r"pairs\.csv: holds other pairs than"):
        train(to=cut_short, resume=True)
    train(to=cut_short, resume=True, change={"data": str(own_set)})
    with pytest.raises(OpenAlignError, match="holds other pairs"):
        own_set.write_text("\n".join(lines))
        train(to=cut_short, resume=True)


def test_the_same_pairs_touched_since_are_the_same(cut_short: Path, own_set: Path, finished: Path) -> None:
    own_set.write_text(own_set.read_text().replace("\n", "\r\n"))
    train(to=cut_short, resume=True)
    assert weights(cut_short) == weights(finished)


@pytest.mark.slow
def test_another_tokenizer_under_the_same_name_is_refused(cut_short: Path, own_set: Path) -> None:
    file = own_set.with_name("tokenizer.json")
    checksum_file(file).unlink()
    own = json.loads(file.read_text())
    own["model"]["max_input_chars_per_word"] = 5
    file.write_text(json.dumps(own))
    with pytest.raises(OpenAlignError, match=r"tokenizer\.json: is another tokenizer .*--change tokenizer="):
        train(to=cut_short, resume=True)
    assert train(to=cut_short, resume=True, change={"tokenizer": str(file)}).steps == 4


def test_an_unreadable_recipe_of_the_run_is_replaced_by_its_checkpoints(
    cut_short: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cut_short / "recipe.toml").write_text("steps = ")
    train(to=cut_short, resume=True)
    assert "recipe.toml: not a TOML file" in capsys.readouterr().err
    assert (cut_short / "recipe.toml").read_bytes() == (finished / "recipe.toml").read_bytes()
    assert (cut_short / "recipe.damaged.toml").read_text() == "steps = "
    assert weights(cut_short) == weights(finished)


def test_a_recipe_is_missed_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="holds no run to go on with"):
        train(to=tmp_path / "nothing", resume=True)
    with pytest.raises(OpenAlignError, match="name a recipe"):
        train(to=tmp_path / "nothing")


def test_a_change_needs_a_run_to_go_on_with(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="--change is only for a run that is resumed"):
        train(finished.parent / "tiny.toml", to=tmp_path / "new", change={"steps": "6"})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"steps": "80"}, {"steps": "70"}),
        ({"optimizer.learning_rate": "1"}, {"optimizer": "{learning_rate = 2}"}),
        ({"where": "{a = 1}"}, {"where.a": "2"}),
    ],
)
def test_a_setting_given_twice_is_refused(cut_short: Path, settings: dict[str, str], changed: dict[str, str]) -> None:
    before = files_of(cut_short)
    with pytest.raises(OpenAlignError, match=r"is given by --set .*=.* and by --change .*=.*: leave one"):
        train(to=cut_short, resume=True, set=settings, change=changed)
    assert files_of(cut_short) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed",
    [
        ["--to", "RUN", "--resume", "--set", "steps=80", "--change", "steps=70"],
        ["tiny.toml", "--to", "RUN", "--change", "steps=6"],
    ],
)
def test_the_command_line_refuses_both_as_wrong_usage(cut_short: Path, typed: list[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "openalign",
        "train",
        *(str(cut_short) if each == "RUN" else each for each in typed),
    ]
    done = preloaded.run(command)
    assert done.returncode == 2 and "--change" in done.stderr


def test_fewer_steps_than_are_done_are_refused(cut_short: Path) -> None:
    before = files_of(cut_short)
    with pytest.raises(OpenAlignError, match="run: is at step 3 already, which is more than steps = 2"):
        train(to=cut_short, resume=True, change={"steps": "2"})
    assert files_of(cut_short) == before
