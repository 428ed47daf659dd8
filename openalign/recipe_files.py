"""Recipe files: those that a user names, and those that come with openalign."""

from importlib.resources import files
from pathlib import Path

from openalign.errors import OpenAlignError

CURATION = "curate-"
"""How the names of bundled curation recipes begin; all others are for training."""


def find_recipe(name: str | Path, for_curation: bool = False) -> Path:
    """The file of this name, or the bundled recipe `recipes/NAME.toml`.

    Raises:
        OpenAlignError: there is neither; the message lists the bundled recipes of that kind.
    """
    given = Path(name)
    if given.is_file():
        return given
    bundled = _folder() / f"{given.stem}.toml"
    if bundled.is_file() and given.parent.name in ("", "recipes"):
        return bundled.resolve()
    if given.exists():
        raise OpenAlignError(f"{name}: not a regular file, so it is not read as a recipe.")
    raise OpenAlignError(
        f"{name}: no such recipe; recipes that come with openalign: {', '.join(bundled_recipes(for_curation))}."
    )


def bundled_recipes(for_curation: bool = False) -> list[str]:
    """The names of the recipes that come with openalign, for curation or for training."""
    names = sorted(path.stem for path in _folder().iterdir())
    return [name for name in names if name.startswith(CURATION) == for_curation]


def _folder() -> Path:
    return Path(str(files("openalign") / "recipes"))
