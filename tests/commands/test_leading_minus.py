"""Queries that begin with a minus, beside options that do."""

import pytest
from typer.testing import CliRunner

from openalign.commands import search as commands
from openalign.commands.cli import app


def run(*arguments: str):
    return CliRunner().invoke(app, ["search", *arguments], prog_name="openalign")


@pytest.fixture
def typed(monkeypatch):
    """What the command was given, instead of a search."""
    given = []
    monkeypatch.setattr(commands, "print_found", lambda folder, model, typed, **how: given.append((folder, typed, how)))
    return given


@pytest.mark.parametrize("query", ["- people", "-\tpeople", "- 2*snow + a red apple", "-\u00a0people", "- -x"])
@pytest.mark.parametrize("place", ["last", "first of the options", "among them"])
def test_a_minus_with_a_blank_begins_a_query(typed, query, place):
    options = ["--top", "3", "--json"]
    at = {"last": 3, "first of the options": 0, "among them": 2}[place]
    done = run("x.index", *options[:at], query, *options[at:])
    assert done.exit_code == 0, done.output
    ((folder, asked, how),) = typed
    assert (folder, asked.query, asked.top, how["json"]) == ("x.index", query, 3, True)


def test_values_of_options_stay_as_they_are(typed):
    done = run("x.index", "--plus", "- x", "--minus", "-y", "--plus", "--minus", "--save", "- name", "- people")
    assert done.exit_code == 0, done.output
    ((_, asked, how),) = typed
    assert (asked.plus, asked.minus, asked.query, how["save"]) == (["- x", "--minus"], ["-y"], "- people", "- name")


@pytest.mark.parametrize("text", ["-people", "-40 degrees", "--", "- x"])
def test_what_follows_two_dashes_is_a_query_whatever_it_is(typed, text):
    assert run("x.index", "--top", "2", "--", text).exit_code == 0
    assert (typed[0][1].query, typed[0][1].top) == (text, 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-people"], 'write "- people"'),
        (["-40 degrees"], 'write "- 40 degrees"'),
        (["red", "-snow", "--top", "3"], 'write "- snow"'),
        (["-top", "3"], "written --top"),
        (["red", "-where=width>3"], "written --where"),
        (["red", "--tpo", "3"], "--top"),
        (["red", "--plsu"], "--plus"),
    ],
)
def test_a_mistyped_option_is_told_with_how_it_is_written(typed, arguments, told):
    done = run("x.index", *arguments)
    words = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == 2 and "No such option" in words and told in words
    assert not typed


def test_help_is_still_an_option():
    assert "img:FILE" in run("-h").stdout
