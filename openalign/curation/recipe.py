"""A curation recipe: the thresholds of the paper's rules and how images are stored, in tables beside their owners."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.html.page import PageSettings
from openalign.curation.images.settings import (
    ImageSettings,
    SimilaritySettings,
    StorageSettings,
    UnsafeSettings,
    WatermarkSettings,
)
from openalign.curation.sources.settings import TableSettings
from openalign.curation.text.settings import TextSettings
from openalign.recipe_files import check_kind, find_recipe
from openalign.settings import Change, Settings, changes_of, full_keys
from openalign.toml import read_toml


class CurateRecipe(Settings):
    """Everything that decides what a curation keeps and writes. The defaults are the paper's where it gives one."""

    pages: PageSettings = PageSettings()
    tables: TableSettings = TableSettings()
    text: TextSettings = TextSettings()
    image: ImageSettings = ImageSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    unsafe: UnsafeSettings = UnsafeSettings()
    watermark: WatermarkSettings = WatermarkSettings()
    fetch: FetchSettings = FetchSettings()
    storage: StorageSettings = StorageSettings()

    @classmethod
    def of(cls, **settings: Any) -> "CurateRecipe":
        """The defaults except for `settings`, by their names without the table: `of(min_words=1)`.

        Raises OpenAlignError for an unknown name or a wrong value.
        """
        return cls().replace(**settings)

    def replace(self, **settings: Any) -> "CurateRecipe":
        """This recipe with other `settings`, as in `of`."""
        full = full_keys(CurateRecipe, settings, "replace")
        changes = [Change(key, value, f"`{key}` = {value!r}") for key, value in full.items()]
        return self.read(self.model_dump(), "recipe", changes)


def read_curate_recipe(name: str | Path | None, changes: Mapping[str, Any] | None = None) -> CurateRecipe:
    """Read a recipe file, or the bundled recipe of that name, and apply `--set` changes. None: the defaults.

    Models that are folders are named relative to the file, or absolute. The table's name may be left out of the keys of
    `changes`: `min_shorter_side` is `image.min_shorter_side`.

    Raises:
        UsageError: a change has an unknown key or a value of the wrong type.
        OpenAlignError: the file is missing or is not TOML; a key of it is unknown or has a value of the wrong type.
    """
    changed = changes_of(CurateRecipe, changes or {})
    if name is None:
        return CurateRecipe.read({}, "recipe", changed)
    file = find_recipe(name, for_curation=True)
    values = read_toml(file.path)
    check_kind(values, file, for_curation=True)
    for table, key in MODEL_KEYS:
        holder = values.get(table)
        if isinstance(holder, dict) and isinstance(holder.get(key), str) and (file.path.parent / holder[key]).exists():
            holder[key] = str((file.path.parent / holder[key]).resolve())
    return CurateRecipe.read(values, file.name, changed)


def resolve_recipe(recipe: CurateRecipe | str | Path | None, changes: Mapping[str, Any] | None = None) -> CurateRecipe:
    """`recipe` with changes, if it is one; else `read_curate_recipe`."""
    if isinstance(recipe, CurateRecipe):
        return CurateRecipe.read(recipe.model_dump(), "recipe", changes_of(CurateRecipe, changes or {}))
    return read_curate_recipe(recipe, changes)


MODEL_KEYS = (
    ("duplicates", "duplicate_model"),
    ("similarity", "similarity_model"),
    ("unsafe", "unsafe_images"),
    ("watermark", "watermark_model"),
)
"""The settings that name a model: a folder, or a name on the Hugging Face hub."""
