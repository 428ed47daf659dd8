"""The recipes that come along: they read, and say what the paper says of models, steps and rates."""

import re
from pathlib import Path

import pytest

from openalign.model import scales
from openalign.recipe_files import bundled_recipes
from openalign.training.recipe.recipe import Recipe, read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
NAMES = bundled_recipes()
GIVEN = {"data": "pairs.csv", "tokenizer": "tokenizer.json"}
"""What the user of a recipe gives."""
FROM_SCRATCH = {
    # name: image tower, text tower, shared width, steps (paper sections 5 and 6)
    "paper": ("l2", "large", 1376, 1_200_000),
    "b7-base": ("b7", "base", 640, 1_000_000),
    "b3-mini-cc3m": ("b3", "mini", 640, 100_000),
}
FINE_TUNED = {"finetune-flickr30k": 3_000, "finetune-coco": 6_000}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_read_by_its_name_and_its_header_has_the_command(name: str) -> None:
    assert isinstance(read_recipe(name, GIVEN), Recipe)
    header = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").split("\n\n")[0]
    assert re.search(rf"train (recipes/)?{name}\b", header.replace("\\\n#", " ").replace("  ", " "))


@pytest.mark.parametrize("name", [*FROM_SCRATCH, *FINE_TUNED])
def test_a_recipe_of_the_paper_states_what_to_expect_and_that_it_was_not_run(name: str) -> None:
    header = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").partition("\nsteps")[0]
    assert "Time:" in header and "Expected" in header and "not run by us" in header
    assert re.search(r"paper (section|tables?) ", header)


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_models_from_scratch_are_the_papers(name: str) -> None:
    image, text, width, steps = FROM_SCRATCH[name]
    recipe = read_recipe(name, GIVEN)
    assert recipe.image_tower == scales.image_tower(image)
    assert recipe.text_tower == scales.text_tower(text)
    assert recipe.model(100_000).width == width
    assert (recipe.steps, recipe.batch_size, recipe.batch_norm_group) == (steps, 16_384, 16)
    assert (recipe.image_size, recipe.resized, recipe.text_tower.max_pieces) == (289, 346, 64)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.warmup_steps) == ("lamb", 1e-3, 10_000)
    assert (optimizer.weight_decay, optimizer.decay) == (1e-5, "linear")
    assert (recipe.loss.label_smoothing, recipe.loss.temperature) == (0.1, 1.0)


@pytest.mark.parametrize("name", FINE_TUNED)
def test_fine_tuning_is_the_papers(name: str) -> None:
    recipe = read_recipe(name, GIVEN)
    assert recipe.start_from is not None
    assert (recipe.steps, recipe.batch_size) == (FINE_TUNED[name], 2_048)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.warmup_steps) == ("lamb", 1e-5, 0)
    assert optimizer.decay == "linear"


@pytest.mark.parametrize("name", [*FROM_SCRATCH, *FINE_TUNED])
@pytest.mark.parametrize("processes", [8, 64])
def test_batches_divide_among_the_gpus_of_one_node_and_of_eight(name: str, processes: int) -> None:
    recipe = read_recipe(name, GIVEN)
    share, left = divmod(recipe.batch_size, processes)
    micro = min(recipe.micro_batch_size or share, share)
    assert left == 0 and share % micro == 0
    assert recipe.batch_norm_group is not None and micro % recipe.batch_norm_group == 0
