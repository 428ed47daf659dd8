"""The reference names everything that is public: functions, classes, commands, settings."""

import pkgutil
import re
import tomllib
from typing import Annotated, Literal

import pytest
from pydantic import Field
from typer.main import get_command

import openalign
from openalign.comma_list import CommaList
from openalign.commands.cli import app
from openalign.curation.recipe import CurateRecipe
from openalign.data.left_out import Kind
from openalign.data.pairs.layouts.registry import LAYOUTS
from openalign.settings import Settings
from openalign.training.recipe.recipe import Recipe
from tests.docs.blocks import ROOT

MOST = 9
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture
def hooks(monkeypatch):
    """The modules that make pages from the code."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "hooks")


def test_the_python_page_shows_each_public_name():
    page = (REFERENCE / "python.md").read_text(encoding="utf-8")
    assert {name for name in openalign.__all__ if f"::: openalign.{name}\n" in page} == set(openalign.__all__)


def test_what_the_python_page_names_is_there():
    names = re.findall(r"^::: (\S+)$", (REFERENCE / "python.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 10 and all(pkgutil.resolve_name(name) is not None for name in names)


def test_the_pages_that_are_made_from_the_code_are_up_to_date(hooks):
    from reference import pages

    made = pages()
    stale = [name for name in made if (REFERENCE / f"{name}.md").read_text(encoding="utf-8") != made[name]]
    assert stale == [], "run `python docs/hooks/reference.py`"


def test_the_page_about_data_lists_every_layout_and_every_kind_of_loss(hooks):
    from reference import data_page

    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert data_page(page) == page, "run `python docs/hooks/reference.py`"
    assert all(f"| `{layout.name}` |" in page for layout in LAYOUTS)
    assert all(f"- {kind.value}\n" in page for kind in Kind)


def test_the_page_of_commands_shows_each_command_with_its_options(hooks):
    from command_pages import commands_page

    page = commands_page()
    commands = get_command(app)
    for name in commands.list_commands(None):
        assert f"\n## {name}\n" in page
        for parameter in commands.get_command(None, name).params:
            if parameter.name != "help" and parameter.opts[0].startswith("-"):
                assert f"`{parameter.opts[0]}" in page


def keys_of(settings):
    for name, field in settings.model_fields.items():
        inner = next(
            (kind for kind in (field.annotation, *getattr(field.annotation, "__args__", ())) if is_table(kind)), None
        )
        yield from keys_of(inner) if inner else [name]


def is_table(kind):
    return isinstance(kind, type) and issubclass(kind, Settings)


@pytest.mark.parametrize("settings", [Recipe, CurateRecipe])
def test_a_page_of_settings_has_a_row_for_each_key_with_its_meaning(hooks, settings):
    from settings_pages import settings_page

    page = settings_page("Settings", settings, "")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [key for key in sorted({*keys_of(settings)}) if f"| `{key}` |" not in page] == []
    assert [line for line in rows if line.endswith("|  |")] == [], "without a meaning"


@pytest.mark.parametrize("settings", [Recipe, CurateRecipe])
def test_a_page_of_settings_shows_values_and_plain_types(hooks, settings):
    from settings_pages import settings_page

    for line in settings_page("Settings", settings, "").splitlines():
        if line.startswith("| `"):
            _, kind, default, _ = (cell.strip() for cell in line.strip("|").split(" | ", 3))

            assert not re.search(r"[A-Z_]{2}|\[|\.\.\.|Annotated|tuple|None|\|", kind), line
            assert default == "required" or "value" in tomllib.loads(
                f"value = {default.strip('`')}".replace("= none", "= 0")
            )


def test_types_limits_and_defaults_of_a_page_are_those_of_the_settings(hooks):
    from settings_pages import settings_page

    page = settings_page("Settings", Sample, "About.")
    assert "| `side` | integer ≥ 1, ≤ 9 | `3` | Pixels. |" in page
    assert '| `labels` | list of strings | `["a"]` |  |' in page
    assert "| `shape` | list of integers ≥ 1 | `none` |  |" in page
    assert '| `kind` | `"x"` or `"y"` | required | Which, of `x | y`. |' in page.replace("\\|", "|")
    assert "## `[inner]`\n\nA table. Where.\n\n| key | type | default | meaning |" in page
    assert "| `share` | number < 1 | `0.5` |" in page


class Inner(Settings):
    """A table.

    More about it.
    """

    share: float = Field(default=0.5, lt=1)


class Sample(Settings):
    """Settings of this test."""

    side: int = Field(default=3, ge=1, le=MOST)
    """Pixels."""
    labels: CommaList = ("a",)
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    kind: Literal["x", "y"]
    """Which, of `x | y`."""
    inner: Inner | None = None
    """Where."""
