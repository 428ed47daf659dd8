"""Recipe files: those that a user names, and those that come with openalign; for training, or for curation."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError, UsageError

CURATION = "curate-"
"""How the names of bundled curation recipes begin; all others are for training."""
CURATION_KEYS = frozenset(
    ("pages", "tables", "text", "image", "duplicates", "similarity", "unsafe", "watermark", "fetch", "storage")
)
"""The tables of a curation recipe. No training recipe has a key of these names."""
TRAINING_KEYS = frozenset(("data", "tokenizer", "start_from", "steps", "batch_size", "image_tower", "optimizer"))
"""Keys of which a training recipe has at least one, and a curation recipe none."""
_NEAR = 0.6
"""Least similarity (difflib's ratio) of a misspelled name to one that is suggested."""


@dataclass(frozen=True)
class RecipeFile:
    """A recipe that was found."""

    path: Path
    name: str
    """How error messages call it: `recipe laptop`, or the path that the user gave."""


def find_recipe(name: str | Path, for_curation: bool = False) -> RecipeFile:
    """The file of this name, or the bundled recipe `recipes/NAME.toml`.

    Raises:
        UsageError: there is no bundled recipe of this name; the message lists those of that kind, the nearest first.
        OpenAlignError: likewise for the path of a file.
    """
    given = Path(name)
    if given.is_file():
        return RecipeFile(given, str(given))
    bundled = _folder() / f"{given.stem}.toml"
    if bundled.is_file() and given.parent.name in ("", "recipes"):
        return RecipeFile(bundled.resolve(), f"recipe {given.stem}")
    if given.exists():
        raise OpenAlignError(f"{name}: not a regular file, so it is not read as a recipe.")
    known = bundled_recipes(for_curation)
    near = difflib.get_close_matches(given.stem, known, 1, _NEAR)
    guess = f" Did you mean {near[0]}?" if near else ""
    message = f"{name}: no such recipe.{guess} Recipes that come with openalign: {', '.join(known)}."
    raise (OpenAlignError if given.suffix or len(given.parts) > 1 else UsageError)(message)


def bundled_recipes(for_curation: bool = False) -> list[str]:
    """The names of the recipes that come with openalign, for curation or for training."""
    names = sorted(path.stem for path in _folder().iterdir())
    return [name for name in names if name.startswith(CURATION) == for_curation]


def check_kind(values: Mapping[str, Any], file: RecipeFile, for_curation: bool = False) -> None:
    """Raise UsageError if a recipe has keys of the other kind, and none of its own."""
    is_curation, is_training = CURATION_KEYS & values.keys(), TRAINING_KEYS & values.keys()
    if (is_curation or not is_training) if for_curation else (is_training or not is_curation):
        return
    given = file.name.removeprefix("recipe ")
    if for_curation:
        raise UsageError(f"{file.name} is a recipe for training, not for curation: `openalign train {given}` takes it.")
    raise UsageError(
        f"{file.name} is a recipe for curation, not for training: `openalign curate --recipe {given}` takes it."
    )


def _folder() -> Path:
    return Path(str(files("openalign") / "recipes"))
