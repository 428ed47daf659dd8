"""Loader settings come from a recipe by name."""

from dataclasses import fields
from types import SimpleNamespace

from openalign.data.loading.settings import LoaderSettings
from openalign.training.recipe.recipe import Recipe

LOADERS_OWN = {"max_pieces", "crop", "pin_memory"}
"""Loader settings that a recipe does not have under the same name."""


def test_settings_are_taken_from_a_recipe_by_name() -> None:
    recipe = SimpleNamespace(batch_size=8, seed=5, image_size=24, resize_size=None, flip=False, word_dropout=0.25, lr=1)
    settings = LoaderSettings.of(recipe, resize_size=32)
    expected = {"batch_size": 8, "seed": 5, "image_size": 24, "resize_size": 32, "flip": False, "word_dropout": 0.25}
    assert settings == LoaderSettings(**expected)
    # A field that was renamed in one of the two would silently keep its default.
    assert {each.name for each in fields(LoaderSettings)} - Recipe.model_fields.keys() == LOADERS_OWN
