"""Writes the reference pages that are made from the code: `python docs/hooks/reference.py`, and `make docs`.

They are committed, so that links to them lead somewhere on GitHub as well; a test fails if they are out of date.
"""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from command_pages import commands_page  # noqa: E402  all need the paths above
from settings_pages import recipes_page, settings_page  # noqa: E402
from tables import row  # noqa: E402

from openalign.curation.recipe import CurateRecipe  # noqa: E402
from openalign.data.left_out import Kind  # noqa: E402
from openalign.data.pairs.layouts.registry import LAYOUTS  # noqa: E402
from openalign.training.recipe.recipe import Recipe  # noqa: E402

NOTE = "<!-- Made from the code by `python docs/hooks/reference.py`. -->\n\n"


def pages() -> dict[str, str]:
    """The name of each page, without `.md`, and its content."""
    made = {
        "commands": commands_page(),
        "training-settings": settings_page(
            "Training settings",
            Recipe,
            "Keys of a training recipe (TOML), and of `openalign train --set KEY=VALUE`. A table's key is written with "
            "a dot: `--set optimizer.learning_rate=2e-3`.",
        ),
        "curation-settings": settings_page(
            "Curation settings",
            CurateRecipe,
            "Keys of a curation recipe (TOML), and of `openalign curate --set KEY=VALUE`. A key is unique among all "
            "tables, so `--set min_shorter_side=50` and `--set image.min_shorter_side=50` are the same. A list of "
            'names may be written with commas: `--set languages=en,de` is `languages = ["en", "de"]`.',
        ),
        "recipes": recipes_page(ROOT / "recipes"),
    }
    return {name: NOTE + content for name, content in made.items()}


def data_page(text: str) -> str:
    """The page about data with its tables of layouts and of what is left out, as they are in the code."""
    layouts = ["| layout | what it is | recognised by |", "|---|---|---|"]
    layouts += [row(f"`{each.name}`", each.title, each.recognised_by) for each in LAYOUTS]
    kinds = [f"- {kind.value}" for kind in Kind]
    for name, lines in (("layouts", layouts), ("kinds", kinds)):
        start, rest = text.split(f"<!-- {name} -->", 1)
        text = f"{start}<!-- {name} -->\n" + "\n".join(lines) + "\n<!-- end -->" + rest.split("<!-- end -->", 1)[1]
    return text


def write() -> None:
    """Write the pages that differ from the files."""
    for name, content in pages().items():
        file = ROOT / "docs" / "reference" / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            file.write_text(content, encoding="utf-8")
    page = ROOT / "docs" / "data.md"
    text = page.read_text(encoding="utf-8")
    if (made := data_page(text)) != text:
        page.write_text(made, encoding="utf-8")


def on_pre_build(config: Any) -> None:
    """Called by mkdocs before it reads the pages."""
    write()


if __name__ == "__main__":
    write()
