"""An mkdocs hook: reference pages that are made from the code, so that they cannot differ from it.

Nothing of openalign is imported except its command line, which loads no model and no database; settings are read from
the source by griffe, as mkdocstrings reads it.
"""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from command_pages import commands_page  # noqa: E402  both need the paths above
from settings_pages import recipes_page, settings_page  # noqa: E402


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    pages = {
        "commands": commands_page(),
        "training-settings": settings_page(
            "Training settings",
            "openalign.training.recipe.recipe.Recipe",
            "Keys of a training recipe (TOML), and of `openalign train --set KEY=VALUE`. A table's key is written with "
            "a dot: `--set optimizer.learning_rate=2e-3`.",
        ),
        "curation-settings": settings_page(
            "Curation settings",
            "openalign.curation.recipe.CurateRecipe",
            "Keys of a curation recipe (TOML), and of `openalign curate --set KEY=VALUE`. A key is unique among all "
            "tables, so `--set min_shorter_side=50` and `--set image.min_shorter_side=50` are the same.",
        ),
        "recipes": recipes_page(ROOT / "recipes"),
    }
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files
