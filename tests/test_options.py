"""Messages name options as the command line spells them in a command, and as Python does in a program."""

import ast
import re
from pathlib import Path

import pytest

import openalign
from openalign import options
from openalign.errors import OpenAlignError
from openalign.options import as_given, called_options, option, typed_options

PACKAGE = Path(openalign.__file__).parent
OF_OTHER_PROGRAMS = {"--warc-file", "--nproc-per-node", "--dereference", "--output"}


@pytest.fixture
def in_a_program(monkeypatch):
    monkeypatch.setattr(options, "_typed", False)


@pytest.mark.parametrize(
    ("named", "typed", "called"),
    [
        (lambda: option("to"), "--to", "`to`"),
        (lambda: option("cache_limit"), "--cache-limit", "`cache_limit`"),
        (lambda: option(resume=True, to=Path("a b")), "--resume --to 'a b'", "`resume=True, to='a b'`"),
        (lambda: option(retry_failed=True), "--retry failed", "`retry_failed=True`"),
        (lambda: option(workers=2), "--workers 2", "`workers=2`"),
        (lambda: option(set={"a": "x", "b": 1}), "--set a=x --set b=1", "`set={'a': 'x', 'b': 1}`"),
        (lambda: option(change={"data": "my photos"}), "--change 'data=my photos'", "`change={'data': 'my photos'}`"),
        (lambda: as_given("set", "sides", "[1, 2]"), "--set sides=[1, 2]", "`set={'sides': '[1, 2]'}`"),
    ],
)
def test_an_option_is_named_for_its_reader(named, typed, called, in_a_program):
    assert named() == called
    with typed_options():
        assert named() == typed
        with called_options():
            assert named() == called
        assert named() == typed
    assert named() == called


def test_a_program_is_told_arguments(tmp_path, in_a_program):
    table = tmp_path / "photos.csv"
    table.write_text("file,text\na.png,a red wall\n")
    wrong = {
        "`memory='much'`: give a number": lambda: openalign.curate(table, to=tmp_path / "a", memory="much"),
        "unknown engine 'sprak': use `engine='local'` or `engine='spark'`": lambda: openalign.curate(
            table, to=tmp_path / "a", engine="sprak"
        ),
        "`set={'min_wrods': 2}`: unknown key `min_wrods`": lambda: openalign.curate(
            table, to=tmp_path / "a", set={"min_wrods": 2}
        ),
        "`data` is missing: give it with `set={'data': 'FOLDER'}`": lambda: openalign.train("laptop"),
        "only `resume=True` with `to` goes on": openalign.train,
    }
    for message, call in wrong.items():
        with pytest.raises(OpenAlignError, match=re.escape(message)):
            call()


def texts_of(tree):
    """The strings of a module but for docstrings, each with its line; f-strings without their values."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | inside:
            yield node.lineno, node.value


@pytest.mark.slow
def test_no_message_outside_the_commands_spells_an_option():
    spelled = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if "commands" in path.parts or path.name == "options.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, text in texts_of(tree):
            without_commands = re.sub(r"`openalign [^`]*", "", text)
            found = {*re.findall(r"(?<![\w-])--[a-z][a-z-]+", without_commands)} - OF_OTHER_PROGRAMS
            spelled += [f"{path.relative_to(PACKAGE)}:{line}: {name}" for name in sorted(found)]
    assert spelled == []
