"""Recipes: strict keys, paths, changes, and a written recipe that reads back as itself."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openalign.errors import OpenAlignError
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
    assert isinstance(read_recipe(name), Recipe)


def test_the_papers_recipe_has_the_papers_numbers() -> None:
    paper = read_recipe("recipes/paper.toml")
    assert (paper.batch_size, paper.steps, paper.image_size, paper.resized) == (16_384, 1_200_000, 289, 346)
    assert (paper.optimizer.name, paper.optimizer.learning_rate, paper.optimizer.warmup_steps) == ("lamb", 1e-3, 10_000)
    assert (paper.image_tower.width, paper.text_tower.layers, paper.loss.label_smoothing) == (1376, 24, 0.1)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(where=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4), column=ANY_TEXT)
@example(where={"article type": "a.b", "a.b": "", "": "\x7f", 'a"b': "\\"}, column="Bild \u2028")
def test_any_column_name_and_value_reads_back_as_itself(
    tmp_path_factory: pytest.TempPathFactory, where: dict[str, str], column: str
) -> None:
    before = Recipe(data="/pairs.csv", tokenizer="/t.json", steps=1, where=where, image_column=column)
    file = tmp_path_factory.mktemp("recipe") / "as_run.toml"
    write_recipe(before, file)
    assert read_recipe(file) == before


def test_a_path_that_is_no_utf_8_is_a_sentence(tmp_path: Path) -> None:
    odd = os.fsdecode(b"/photos-\xff.csv")
    with pytest.raises(OpenAlignError, match=r"photos-\\udcff.*not UTF-8"):
        write_recipe(Recipe(data=odd, tokenizer="/t.json", steps=1), tmp_path / "as_run.toml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"a = " + b"[" * 20_000, b"\xff", b"= 3"])
def test_a_file_that_is_no_recipe_is_a_sentence(recipe: Path, content: bytes) -> None:
    recipe.write_bytes(content)
    with pytest.raises(OpenAlignError, match=r"small\.toml: not a TOML file"):
        read_recipe(recipe)
