"""Every command and every piece of Python in README, CONTRIBUTING and docs/ runs, page by page, on small data."""

import re
import tomllib

import pytest

import openalign
from openalign.curation.recipe import resolve_recipe
from openalign.training.recipe.recipe import read_recipe
from tests.conftest import TINY
from tests.docs.blocks import PAGES, blocks_of, name_of, prose_of
from tests.docs.commands import NOT_RUN, app, reason_not_to_run, run, simple_commands

SHELL = ("sh", "bash", "console")
LANGUAGES = {*SHELL, "python", "toml", "json", "text", "mermaid"}
INLINE = re.compile(r"`openalign ([a-z]+)([^`]*)`")


def train_little(train):
    """`openalign.train` with settings that make a run of a second."""

    def little(recipe=None, *, set=None, **others):
        return train(recipe, set={**(set or {}), **dict(change.split("=", 1) for change in TINY)}, **others)

    return little


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_what_a_page_tells_to_type_runs(page, here, monkeypatch):
    monkeypatch.setattr(openalign, "train", train_little(openalign.train))
    names = {"__name__": "example"}
    for block in blocks_of(page):
        where = f"{name_of(page)}, line {block.line}"
        assert block.language in LANGUAGES, f"{where}: a block without a language that is known"
        if block.language in SHELL:
            for words in simple_commands(block.text):
                if reason_not_to_run(words) is None:
                    run(words, monkeypatch)
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language == "toml":
            tomllib.loads(block.text)
            if block.title:
                (here / block.title).write_text(block.text, encoding="utf-8")
                _read(block)


def _read(block):
    """A training recipe has steps; another is for a curation."""
    if "steps" in tomllib.loads(block.text):
        read_recipe(block.title)
    else:
        resolve_recipe(block.title, None)


def test_every_reason_not_to_run_is_used():
    unused = set(NOT_RUN)
    for page in PAGES:
        for block in blocks_of(page):
            if block.language in SHELL:
                for words in simple_commands(block.text):
                    unused -= {start for start in unused if f"{' '.join(words)} ".startswith(f"{start} ")}
    assert not unused


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_running_text_exist_with_their_options(page):
    from typer.main import get_command

    commands = get_command(app)
    for found in INLINE.finditer(prose_of(page)):
        command = commands.get_command(None, found[1])
        assert command is not None, found[0]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"(?<![\w-])--[a-z-]+", found[2])) <= {*known, "--help"}, found[0]
