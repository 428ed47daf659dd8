"""RUN/recipe.toml: the recipe that the run was started with, written with a checksum and never edited by hand."""

from pathlib import Path

from openalign.checksums import check_beside
from openalign.errors import OpenAlignError
from openalign.files import whole_checked_file
from openalign.options import option
from openalign.progress import log
from openalign.training.recipe.changes import differences
from openalign.training.recipe.recipe import Recipe, read_recipe, write_recipe

RECIPE = "recipe.toml"


def own_recipe(run: Path, checkpoint: Path) -> Path:
    """The file with the run's recipe: RUN/recipe.toml, or the checkpoint's copy where that is damaged.

    Raises:
        OpenAlignError: both are missing or damaged.
    """
    try:
        _check(run / RECIPE)
    except OpenAlignError as error:
        if not (checkpoint / RECIPE).is_file():
            raise
        reason = str(error).rstrip(".")
        log.warning(f"{reason}. The recipe of its checkpoint is used instead, {checkpoint / RECIPE}.")
        return checkpoint / RECIPE
    return run / RECIPE


def put_recipe(run: Path, recipe: Recipe, own: Recipe | None, step: int) -> None:
    """Write RUN/recipe.toml; keep the run's `own` recipe so far beside it if that led to other weights up to `step`."""
    if own is not None and differences(own, recipe):
        kept = run / f"recipe.before-step-{step:08d}.toml"
        if not kept.exists():
            write_recipe(own, kept)
    file = run / RECIPE
    if own is None or own != recipe or not _is_whole(file):
        if own is not None and file.exists() and not _is_whole(file):
            file.rename(run / "recipe.damaged.toml")
        with whole_checked_file(file) as partial:
            write_recipe(recipe, partial)


def _check(file: Path) -> None:
    """Raise OpenAlignError unless the recipe exists, can be read and has the checksum it was written with."""
    if not file.exists():
        raise OpenAlignError(f"{file}: is missing.")
    read_recipe(file)
    check_beside(file, f"settings are changed with {option('change')}, not in this file")


def _is_whole(file: Path) -> bool:
    try:
        _check(file)
    except OpenAlignError:
        return False
    return True
