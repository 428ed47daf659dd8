"""Settings that are valid one by one and cannot mean together what was typed are told."""

from pathlib import Path

import pytest

from openalign.errors import OpenAlignError
from openalign.training.recipe.doubts import check_crop, doubts
from openalign.training.recipe.recipe import HeldOutSettings, OptimizerSettings, Recipe


def recipe(**settings: object) -> Recipe:
    values = {"data": "d", "tokenizer": "t", "steps": 1000, "optimizer": OptimizerSettings(warmup_steps=100)}
    return Recipe.model_validate({**values, **settings})


def told(settings: Recipe, processes: int = 1) -> str:
    return " ".join(doubts(settings, processes))


@pytest.mark.parametrize(
    ("warmup", "steps", "reached"), [(10_000, 1000, "0.0001"), (500, 500, "0.001"), (300, 200, "0.00067")]
)
def test_a_warm_up_as_long_as_the_run_is_told_with_the_rate_it_reaches(warmup: int, steps: int, reached: str) -> None:
    said = told(recipe(steps=steps, optimizer=OptimizerSettings(warmup_steps=warmup)))
    assert f"optimizer.warmup_steps = {warmup:,} is not less than steps = {steps:,}" in said
    assert f"to {reached} of optimizer.learning_rate = 0.001" in said


def test_the_default_warm_up_of_the_paper_is_told_in_a_short_run() -> None:
    assert "10,000 is not less than steps = 1,000" in told(recipe(optimizer=OptimizerSettings()))
    assert told(recipe(optimizer=OptimizerSettings(), steps=1_200_000)) == ""


def test_a_micro_batch_larger_than_the_share_of_a_process_is_told() -> None:
    assert told(recipe(batch_size=256, micro_batch_size=256)) == ""
    assert "is more than the 128 pairs of each process" in told(recipe(batch_size=256, micro_batch_size=256), 2)


def test_recall_that_would_never_be_measured_on_the_way_is_told_if_it_was_asked_for() -> None:
    assert "at the end only" in told(recipe(held_out=HeldOutSettings(data="h", every_steps=2000)))
    assert told(recipe(held_out=HeldOutSettings(data="h", every_steps=1000))) == ""
    assert told(recipe(steps=500, held_out=HeldOutSettings(data="h"))) == ""


def test_a_crop_larger_than_the_resized_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="resize_size 30 must be at least image_size 32"):
        recipe(image_size=32, resize_size=30)
    tuned = Recipe(data="d", start_from="model", steps=5, resize_size=30)  # the model's size is known later
    check_crop(tuned.model_copy(update={"image_size": 30}))
    with pytest.raises(OpenAlignError, match="image_size 32 is larger than resize_size 30"):
        check_crop(tuned.model_copy(update={"image_size": 32}))
