"""Runs a command line of the documents in this process, or names the reason why it is not run."""

import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from openalign.commands.cli import app
from openalign.search.index import Index
from openalign.serve.app import create_app
from tests.conftest import TINY, with_settings
from tests.docs.blocks import ROOT

NOT_RUN = {
    "python3 -m venv": "makes an environment; `make test` ran in one",
    "source": "activates that environment",
    "pip install": "needs the package index; .ci/run installs from it",
    ".venv/bin/pip install": "needs the package index; .ci/run installs from it",
    "git clone": "needs the network",
    "cd": "into the clone",
    "make demo": "ten minutes; tests/demo runs its stages on a small web",
    "make test": "runs this test",
    "make quick": "runs a part of the tests",
    "make lint": "`make test` runs it",
    "make docs": ".ci/run builds the site",
    "openalign demo": "ten minutes; tests/demo runs its stages on a small web",
    "torchrun": "several GPUs; tests/training starts torchrun with two processes on the CPU",
    "hf download": "needs the Hugging Face hub",
    "pre-commit install": "changes the repository's hooks",
}
"""The beginnings of commands that are not run, each with the reason."""
SEVERAL_STEPS = re.compile(r"steps=\d+")


def simple_commands(block: str) -> Iterator[list[str]]:
    """The words of each command of a shell block: continued lines joined, comments left out, `&&` split."""
    for line in block.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word != "&&":
                words.append(word)
            elif words:
                yield words
                words = []


def reason_not_to_run(words: list[str]) -> str | None:
    """Why this command is not run, if it is not."""
    beginning = " ".join(words) + " "
    if "--engine spark" in beginning:
        return "a Spark cluster; tests/curation runs every rule on Spark"
    if "milvus://" in beginning:
        return "a server of Milvus; tests/search/milvus does the same with Milvus Lite"
    return next((reason for start, reason in NOT_RUN.items() if beginning.startswith(f"{start} ")), None)


def run(words: list[str], monkeypatch) -> None:
    """Run a command in the working directory; it must end with status 0."""
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    first, *arguments = words
    arguments = [name for argument in arguments for name in (_files_of(argument) or [argument])]
    runners: dict[str, Callable[[list[str]], None]] = {
        "openalign": lambda given: _openalign(given, monkeypatch),
        "curl": _curl,
        "python": lambda given: _python(given, monkeypatch),
        "bash": _script,
        "pytest": _pytest,
        ".venv/bin/pytest": _pytest,
    }
    assert first in runners, f"`{' '.join(words)}` is neither run nor in NOT_RUN"
    runners[first](arguments)


def _files_of(pattern: str) -> list[str]:
    """What the shell makes of `*`."""
    return sorted(str(path) for path in Path().glob(pattern)) if "*" in pattern else []


def _openalign(arguments: list[str], monkeypatch) -> None:
    monkeypatch.setattr("openalign.serve.app.serve", _answer_once)
    monkeypatch.setattr("openalign.search.build.keep_up", lambda *_: None)  # it goes on until Ctrl-C
    if arguments[0] == "train":
        arguments = _small_training(arguments)
    if arguments[0] == "index":  # the one that is there may be of another model, which is refused
        shutil.rmtree(arguments[arguments.index("--to") + 1], ignore_errors=True)
    done = CliRunner().invoke(app, arguments, prog_name="openalign")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, f"openalign {shlex.join(arguments)}\n{done.output}"


def _answer_once(index: Path, **options: object) -> None:
    """In place of `serve`, which runs until Ctrl-C: the same service answers one query."""
    with TestClient(create_app(Index.open(index))) as client:
        assert client.get("/api/search", params={"text": "a red wall"}).json()["hits"]


def _curl(arguments: list[str]) -> None:
    """The request that curl would send, to the service of the folder's index; it must be answered with 200."""
    headers: dict[str, str] = {}
    form: list[tuple[str, tuple[str | None, bytes]]] = []
    body: dict[str, Any] = {}
    method = ""
    *options, url = arguments
    for option, value in zip(options[::2], options[1::2], strict=True):
        name, _, content = value.partition("=")
        if option == "-H":
            headers.update([value.split(": ", 1)])
        elif option == "-X":
            method = value
        elif option == "-d":
            body = {"content": value}
        else:
            assert option == "-F", option
            is_file = content.startswith("@")
            part = (content[1:], Path(content[1:]).read_bytes()) if is_file else (None, content.encode())
            form.append((name, part))
    method = method or ("POST" if form or body else "GET")
    with TestClient(create_app(Index.open("photos.index"), whole_paths=True)) as client:
        reply = client.request(method, url, headers=headers, files=form or None, **body)
    assert reply.status_code == 200, f"curl {shlex.join(arguments)}\n{reply.text}"


def _small_training(arguments: list[str]) -> list[str]:
    """The same training with a few steps of small towers; a new run is not kept from its folder by an older one."""
    if "--resume" in arguments:
        return [SEVERAL_STEPS.sub("steps=8", argument) for argument in arguments]
    recipe = Path(arguments[1])
    run = arguments[arguments.index("--to") + 1] if "--to" in arguments else f"runs/{recipe.stem}"
    shutil.rmtree(run, ignore_errors=True)
    fine_tuning = recipe.is_file() and "start_from" in recipe.read_text(encoding="utf-8")
    changes = ("steps=2", "batch_size=8", "workers=0") if fine_tuning else TINY
    return [str(word) for word in with_settings(arguments, *changes)]


def _python(arguments: list[str], monkeypatch) -> None:
    script = ROOT / arguments[0]
    if arguments[0].startswith("bench/"):
        _known_options(script, arguments[1:])
        return
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(script), run_name="__main__")


def _known_options(script: Path, arguments: list[str]) -> None:
    """A benchmark takes minutes to hours: that it and its options exist is all that is checked."""
    source = script.read_text(encoding="utf-8") + (ROOT / "bench" / "measure.py").read_text(encoding="utf-8")
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert f'"{option}"' in source, f"{script} has no option {option}"


def _pytest(arguments: list[str]) -> None:
    """Tests are not run from a test: that they exist is checked."""
    for argument in arguments:
        if argument.startswith("tests/"):
            assert (ROOT / argument.partition("::")[0]).exists(), argument


def _script(arguments: list[str]) -> None:
    """A benchmark on a GPU is not run: that it exists is checked."""
    assert (ROOT / arguments[0]).exists(), arguments[0]
