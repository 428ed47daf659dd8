"""The road has one direction, in every folder: a module imports only from rooms before its own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import openalign

PACKAGE = Path(openalign.__file__).parent

ROOMS = {
    "openalign": [
        *(
            "errors options version comma_list",
            "progress regular extras recipe_files",
            "checksums locks",
            "files",
            "toml validation",
            "settings",
        ),
        *("data", "model", "curation", "embedding", "evaluation", "training", "search", "inspection", "serve"),
        *("demo", "commands", "__main__"),
    ],
    "openalign.data": [
        "arrow left_out split_names conversations prompts",
        "files",
        "images",
        "tokenizer",
        "tables",
        "shards",
        "sites",
        "pairs",
        "loading",
    ],
    "openalign.data.tables": ["hub"],
    "openalign.data.pairs": [
        "options reading folder_files",
        "pairs beside",
        "class_names",
        "evidence",
        "file_images named_images",
        "listed_splits not_read",
        "class_levels",
        "named_rows",
        "combine",
        "from_tables",
        "layouts",
    ],
    "openalign.model": [
        *("limits batch_norm", "efficientnet loss", "align folder", "config weights dual_encoder"),
        *("pretrained", "foreign"),
    ],
    "openalign.curation": [
        *(
            "isolation",
            "html",
            "engine",
            "text",
            "sources",
            "fetch",
            "images",
            "duplicates",
            "recipe",
            "rules",
            "report",
        ),
    ],
    "openalign.search": ["rows watched query mark", "graph map", "store"],
    "openalign.search.store": [
        "checks vectors database groups",
        "meta changes texts",
        "table map_file",
        "writing",
    ],
    "openalign.commands": ["output"],
    "openalign.serve": ["links metrics log", "wire work", "failures protection"],
    "openalign.training": ["recipe", "optimization", "run_folder", "watch"],
}
"""The rooms of a folder, in order; those named together know nothing of each other.

Modules that are not listed lie on top: they import from the rooms beside them, and no room imports from them.
"""
MOST_MODULES = 16
MOST_LINES = 40


def module_of(path: Path) -> str:
    """`.../openalign/data/pairs/pairs.py` -> `openalign.data.pairs.pairs`; a package by its own name."""
    parts = ("openalign", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


SOURCES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"}


@cache
def nodes_of(path: Path) -> list[ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The imports and functions of a file, anywhere in it."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """The modules that a file imports, anywhere in it, with the line."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in SOURCES else str(node.module), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def rank(folder: str, child: str) -> int:
    order = ROOMS[folder]
    return next((number for number, names in enumerate(order) if child in names.split()), len(order))


def is_late(importer: str, imported: str) -> bool:
    """Whether an import goes against the order of the folder where the two modules' paths part."""
    ours, theirs = importer.split("."), imported.split(".")
    shared = next(
        (index for index, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    folder = ".".join(ours[:shared])
    if folder not in ROOMS or shared in (len(ours), len(theirs)):
        return False
    mine, its = ours[shared], theirs[shared]
    both_on_top = rank(folder, mine) == rank(folder, its) == len(ROOMS[folder])
    return not both_on_top and rank(folder, its) >= rank(folder, mine)


def test_every_folder_with_rooms_has_an_order():
    inner = [path.parent for path in PACKAGE.rglob("__init__.py") if PACKAGE not in (path.parent, path.parent.parent)]
    folders = {module_of(folder) for folder in inner}
    assert {folder.rpartition(".")[0] for folder in folders} == ROOMS.keys() - {"openalign"}
    for folder, order in ROOMS.items():
        for name in " ".join(order).split():
            assert f"{folder}.{name}" in SOURCES
    known = " ".join(ROOMS["openalign"]).split()
    assert {module.split(".")[1] for module in SOURCES} <= set(known)


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_imports_only_from_rooms_before_its_own(module):
    late = [f"line {line}: {name}" for name, line in imports_of(SOURCES[module]) if is_late(module, name)]
    assert not late


def test_no_folder_is_crowded():
    folders = {path.parent for path in SOURCES.values()}
    crowded = {str(folder): count for folder in folders if (count := len(list(folder.glob("*.py")))) > MOST_MODULES}
    assert not crowded


@pytest.mark.slow
def test_no_function_is_long():
    long = [
        f"{module}.{node.name}"
        for module, path in SOURCES.items()
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= MOST_LINES
    ]
    assert not long


@pytest.mark.slow
def test_no_import_is_circular():
    imports = {module: {name for name, _ in imports_of(path)} & SOURCES.keys() for module, path in SOURCES.items()}
    TopologicalSorter({module: names - {module} for module, names in imports.items()}).prepare()


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_training_needs_no_library_of_curation_search_or_service():
    others = {"ibis", "duckdb", "fastwarc", "selectolax", "usearch", "fastapi", "typer"}
    assert not loaded_by("import openalign.training.loop") & others


@pytest.mark.slow
def test_the_package_and_its_command_line_load_no_torch():
    heavy = {"torch", "transformers", "numpy", "pyarrow", "ibis", "duckdb", "fastapi", "pydantic"}
    assert not loaded_by("import openalign, openalign.commands.cli") & heavy
