"""The road has one direction: a module imports from stages before its own, and a stage needs only its own libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import openalign

PACKAGE = Path(openalign.__file__).parent

ORDER = [
    {"errors"},
    {"settings", "progress", "regular"},
    {"checksums", "locks"},
    {"files"},
    {"data"},
    {"model"},
    {"curate"},
    {"evaluate"},
    {"train"},
    {"search"},
    {"serve"},
    {"demo"},
    {"api"},
    {"terminal", "arguments"},
    {"endings"},
    {"cli"},
    {"__main__"},
]
STAGES = {stage: place for place, stages in enumerate(ORDER) for stage in stages}


def stage_of(module: str) -> str:
    """`openalign.data.pairs` -> `data`."""
    return module.split(".")[1]


def imports_of(path: Path) -> set[tuple[str, int]]:
    """The openalign modules that a file imports, anywhere in it, with the line; submodules by their full name."""
    found: set[tuple[str, int]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "openalign":
                found |= {(f"openalign.{alias.name}", node.lineno) for alias in node.names if stage_exists(alias.name)}
            elif node.module is not None:
                found.add((node.module, node.lineno))
        elif isinstance(node, ast.Import):
            found |= {(alias.name, node.lineno) for alias in node.names}
    return {(module, line) for module, line in found if module.startswith("openalign.")}


def stage_exists(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def own_stage(path: Path) -> str:
    return stage_of(".".join(("openalign", *path.relative_to(PACKAGE).with_suffix("").parts)))


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_every_module_belongs_to_a_stage():
    assert {own_stage(path) for path in SOURCES} <= STAGES.keys()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_stages_before_its_own(path):
    own = own_stage(path)
    late = [
        f"line {line}: {module}"
        for module, line in imports_of(path)
        if (stage := stage_of(module)) != own and STAGES[stage] >= STAGES[own]
    ]
    assert not late


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_training_needs_no_library_of_curation_search_or_service():
    others = {"ibis", "duckdb", "fastwarc", "selectolax", "usearch", "fastapi", "typer"}
    assert not loaded_by("import openalign.train.loop") & others


def test_the_package_and_its_command_line_load_no_torch():
    heavy = {"torch", "transformers", "numpy", "pyarrow", "ibis", "duckdb", "fastapi", "pydantic"}
    assert not loaded_by("import openalign, openalign.cli") & heavy
