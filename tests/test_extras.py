"""The extras: what each brings, that the base install needs none of them, and how a missing one is reported."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import openalign
from openalign.curation.engine.registry import open_engine
from openalign.curation.images import unsafe
from openalign.errors import OpenAlignError
from openalign.extras import EXTRAS, MissingExtra, require
from openalign.model.onnx.encoder import OnnxEncoder
from openalign.model.onnx.export import export

PACKAGE = Path(openalign.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WITH_EXTRAS = {
    "curation": ("curate", "spark", "nudenet"),
    "serve": ("serve",),
    "demo": ("curate", "serve", "demo"),
}
"""The rooms that may import more than the base install brings."""
IN_PLACES = {"model": EXTRAS["export"], "data": ("icu4py", *EXTRAS["photos"]), "search": EXTRAS["milvus"]}
"""Modules that a room imports in few places, where they are installed: to export a model, to cut Thai, to open HEIC, to
search in Milvus."""
BROUGHT_ALONG = {"py4j": "pyspark", "starlette": "fastapi", "triton": "torch", "markupsafe": "jinja2"}
"""Modules whose package is a dependency of the one that is declared."""


def distributions(requirements: list[str]) -> set[str]:
    """The names of required packages, in lower case with hyphens, without our own extras."""
    names = {re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-") for requirement in requirements}
    return names - {"openalign"}


def distribution_of(module: str, known={}) -> str:  # noqa: B006 - a cache: the mapping takes a second to read
    known = known or known.update(packages_distributions()) or known
    return known[BROUGHT_ALONG.get(module, module)][0].lower().replace("_", "-")


def imports_of(path: Path) -> set[str]:
    """The third-party modules that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"openalign"}


def declared(*extras: str) -> set[str]:
    return distributions(
        [name for extra in extras for name in PROJECT["optional-dependencies"][extra]] + PROJECT["dependencies"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("room", sorted(path.name for path in PACKAGE.iterdir() if path.suffix in ("", ".py")))
def test_every_import_of_a_room_is_of_a_package_that_its_install_brings(room):
    path = PACKAGE / room
    files = path.rglob("*.py") if path.is_dir() else [path]
    modules = {module for file in files for module in imports_of(file)}
    modules -= set(IN_PLACES.get(room, ()))
    assert {distribution_of(module) for module in modules} <= declared(*WITH_EXTRAS.get(room, ()))


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_modules_of_an_extra_are_those_of_its_packages(extra):
    packages = distributions(PROJECT["optional-dependencies"][extra])
    brought = {distribution_of(module) for module in EXTRAS[extra]}
    if extra == "spark":  # ibis is named once more, for its own extra
        packages -= {"ibis-framework"}
    assert brought == packages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "typed"),
    [
        ("curate", "curate crawl.warc.gz --to curated"),
        ("spark", "curate crawl.warc.gz --to curated --engine spark"),
        ("nudenet", "curate crawl.warc.gz --to curated --unsafe-images nudenet"),
        ("serve", "serve photos.index"),
        ("demo", "demo"),
    ],
)
def test_a_command_without_its_extra_gives_the_command_that_installs_it(extra, typed, tmp_path):
    modules = {*EXTRAS["curate"], *EXTRAS[extra]} if typed.startswith("curate") else EXTRAS[extra]
    hidden = f"import sys; sys.modules.update(dict.fromkeys({[*modules]!r}))"
    code = f"{hidden}; sys.argv = ['openalign', *{typed.split()!r}]; from openalign.commands.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("openalign: ") and len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith(f"pip install 'openalign[{extra}]'\n")
    assert not list(tmp_path.iterdir())


def test_export_without_its_extra_gives_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"^Exporting a model needs .* \(onnx\): pip install 'openalign\[export\]'$"):
        export("nowhere", tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"^Using the exported model .* \(onnxruntime\): .*'openalign\[export\]'$"):
        OnnxEncoder(tmp_path)


def test_spark_and_nudenet_without_their_extras_give_the_command_that_installs_them(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(
        MissingExtra, match=r"^Curating on Spark needs .* \(pyspark\): pip install 'openalign\[spark\]'$"
    ):
        open_engine("spark", tmp_path, workers=1)
    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(
        MissingExtra, match=r"^Finding unsafe images with nudenet needs .*pip install 'openalign\[nudenet\]'$"
    ):
        unsafe._open_nudenet()


def test_the_package_without_curation_hides_curate_and_reports_why():
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS['curate']!r})); import openalign\n"
        "assert 'curate' not in dir(openalign) and 'train' in dir(openalign)\n"
        "try: openalign.curate\nexcept openalign.OpenAlignError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("pip install 'openalign[curate]'\n")


def test_a_missing_extra_is_an_import_error_as_well():
    with pytest.raises(ImportError, match=r"^it needs packages that are not installed \(a, b\)") as caught:
        require("serve", "it", ["a", "b"])
    assert isinstance(caught.value, OpenAlignError)
