"""The reference names everything that is public: functions, classes, commands, settings."""

import pytest
from typer.main import get_command

import openalign
from openalign.commands.cli import app
from openalign.curation.recipe import CurateRecipe
from openalign.settings import Settings
from openalign.training.recipe.recipe import Recipe
from tests.docs.blocks import ROOT

REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture
def hooks(monkeypatch):
    """The modules that make pages when the site is built; they need the extra `docs`."""
    pytest.importorskip("griffe", reason="the extra `docs` is not installed")
    monkeypatch.syspath_prepend(ROOT / "docs" / "hooks")


def test_the_python_page_shows_each_public_name():
    page = (REFERENCE / "python.md").read_text(encoding="utf-8")
    assert {name for name in openalign.__all__ if f"::: openalign.{name}\n" in page} == set(openalign.__all__)


def test_the_page_of_commands_shows_each_command_with_its_options(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "hooks")
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


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("openalign.training.recipe.recipe.Recipe", sorted(set(keys_of(Recipe)))),
        ("openalign.curation.recipe.CurateRecipe", sorted(set(keys_of(CurateRecipe)))),
    ],
    ids=["training", "curation"],
)
def test_a_page_of_settings_has_a_row_for_each_key(hooks, path, keys):
    from settings_pages import settings_page

    page = settings_page("Settings", path, "")
    assert [key for key in keys if f"| `{key}` |" not in page] == []
