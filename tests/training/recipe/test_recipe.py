"""Recipes: strict keys, paths, changes, named towers, and a written recipe that reads back as itself."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openalign.errors import OpenAlignError, UsageError
from openalign.model.scales import image_tower, text_tower
from openalign.training.recipe.recipe import Recipe, read_recipe, write_recipe

MINIMAL = 'data = "pairs.csv"\ntokenizer = "tokenizer.json"\nsteps = 10\nbatch_size = 4\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(MINIMAL)
    return path


def test_relative_paths_are_relative_to_the_recipe(recipe: Path) -> None:
    assert read_recipe(recipe).data == str(recipe.parent / "pairs.csv")


def test_relative_paths_of_changes_are_relative_to_the_user(recipe: Path) -> None:
    assert read_recipe(recipe, {"data": "mine.csv"}).data == str(Path.cwd() / "mine.csv")


def test_changes_reach_into_tables(recipe: Path) -> None:
    changed = read_recipe(recipe, {"optimizer.learning_rate": "2e-3", "image_tower.channels": "[8, 16]", "steps": "5"})
    assert (changed.optimizer.learning_rate, changed.image_tower.channels, changed.steps) == (2e-3, (8, 16), 5)


def test_an_unknown_key_names_the_nearest_known_one(recipe: Path) -> None:
    recipe.write_text(MINIMAL + "[optimizer]\nlearning_rte = 1.0\n")
    with pytest.raises(
        OpenAlignError, match=r"small\.toml: unknown key `optimizer\.learning_rte`.*`optimizer\.learning_rate`"
    ):
        read_recipe(recipe)


def test_a_change_may_leave_out_the_table_of_its_key(recipe: Path) -> None:
    changed = read_recipe(recipe, {"learning_rate": "2e-3", "max_pieces": "9"})
    assert (changed.optimizer.learning_rate, changed.text_tower.max_pieces) == (2e-3, 9)


def test_a_bad_change_is_reported_with_its_option(recipe: Path) -> None:
    with pytest.raises(UsageError, match=r"^--set steps=ten: `steps` = 'ten' is not valid"):
        read_recipe(recipe, {"steps": "ten"})
    with pytest.raises(UsageError, match=r"^--change stepz=3: unknown key `stepz`; the nearest known key is `steps`"):
        read_recipe(recipe, on_purpose={"stepz": "3"})
    with pytest.raises(UsageError, match=r"small\.toml with --set resize_size=9: resize_size 9 must be at least"):
        read_recipe(recipe, {"resize_size": "9"})


def test_towers_go_by_the_names_of_openalign_scales(recipe: Path) -> None:
    named = read_recipe(recipe, {"image_tower": "b3", "text_tower": "mini", "image_tower.drop_path": "0.0"})
    assert named.image_tower == image_tower("b3").model_copy(update={"drop_path": 0.0})
    assert named.text_tower == text_tower("mini")
    recipe.write_text(MINIMAL + 'image_tower = "b3"\ntext_tower = "mini"\n')
    assert read_recipe(recipe, {"drop_path": "0.0"}) == named
    values = named.model_dump() | {"image_tower": "b3"}
    assert Recipe.model_validate(values).image_tower == image_tower("b3")


def test_an_unknown_name_of_a_tower_lists_the_names(recipe: Path) -> None:
    with pytest.raises(UsageError, match=r"^--set image_tower=b33: there is no image tower `b33`; .* b0, b1, .*l2\.$"):
        read_recipe(recipe, {"image_tower": "b33"})
    recipe.write_text(MINIMAL + 'text_tower = "huge"\n')
    with pytest.raises(OpenAlignError, match=r"small\.toml: there is no text tower `huge`; .* tiny, mini, small"):
        read_recipe(recipe)


def test_a_wrong_type_names_key_and_value(recipe: Path) -> None:
    recipe.write_text(MINIMAL.replace("10", '"ten"'))
    with pytest.raises(OpenAlignError, match=r"`steps` = 'ten'"):
        read_recipe(recipe)


def test_a_missing_key_is_named(recipe: Path) -> None:
    recipe.write_text(MINIMAL.replace("steps = 10\n", ""))
    with pytest.raises(OpenAlignError, match="the key `steps` is missing"):
        read_recipe(recipe)


def test_an_unknown_recipe_names_those_that_come_along() -> None:
    with pytest.raises(OpenAlignError, match="demo, finetune-coco, finetune-flickr30k, laptop, paper"):
        read_recipe("nothing")


def test_a_written_recipe_reads_back_as_itself(recipe: Path, tmp_path: Path) -> None:
    before = read_recipe(recipe, {"where": '{split = "train \\"x\\""}', "resize_size": "300"})
    write_recipe(before, tmp_path / "as_run.toml")
    assert read_recipe(tmp_path / "as_run.toml") == before


@pytest.mark.parametrize("name", ["demo", "laptop", "paper"])
def test_bundled_recipes_are_valid(name: str) -> None:
    assert isinstance(read_recipe(name, {"data": "a.csv", "tokenizer": "t.json"}), Recipe)


def test_the_papers_recipe_has_the_papers_numbers() -> None:
    paper = read_recipe("recipes/paper.toml", {"data": "a.csv", "tokenizer": "t.json"})
    assert (paper.batch_size, paper.steps, paper.image_size, paper.resized) == (16_384, 1_200_000, 289, 346)
    assert (paper.optimizer.name, paper.optimizer.learning_rate, paper.optimizer.warmup_steps) == ("lamb", 1e-3, 10_000)
    assert (paper.image_tower.width, paper.text_tower.layers, paper.loss.label_smoothing) == (1376, 24, 0.1)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.slow
@given(where=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4), column=ANY_TEXT)
@example(where={"article type": "a.b", "a.b": "", "": "\x7f", 'a"b': "\\"}, column="Bild \u2028")
def test_any_column_name_and_value_reads_back_as_itself(
    tmp_path_factory: pytest.TempPathFactory, where: dict[str, str], column: str
) -> None:
    before = Recipe(data="/pairs.csv", tokenizer="/t.json", steps=1, where=where, image_column=column)
    file = tmp_path_factory.mktemp("recipe") / "as_run.toml"
    write_recipe(before, file)
    assert read_recipe(file) == before
