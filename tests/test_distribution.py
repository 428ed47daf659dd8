"""What is published: a wheel with the whole package, and a source distribution that builds it and holds the tests."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import openalign

pytestmark = pytest.mark.slow

ROOT = Path(openalign.__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
NOT_OURS = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "site")

pytest.importorskip("setuptools", minversion="77", reason="needs setuptools 77, which `make test` does not install")


def built(what: str, source: Path, to: Path) -> Path:
    """The one file that the build backend makes of a source folder: a wheel or an sdist."""
    to.mkdir()
    typed = [sys.executable, "-c", BUILD, f"build_{what}", str(to)]
    subprocess.run(typed, cwd=source, check=True, capture_output=True, timeout=100)
    (file,) = to.iterdir()
    return file


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("distribution")
    source = folder / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if path.is_dir() and path.name in ("openalign", "tests", "docs", "examples", "recipes"):
            shutil.copytree(path, source / path.name, ignore=NOT_OURS)
        elif path.is_file():
            shutil.copy(path, source)
    with tarfile.open(built("sdist", source, folder / "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


def test_the_source_distribution_holds_tests_docs_and_recipes(sdist):
    for name in ("LICENSE", "README.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", "tests/conftest.py",
                 "tests/serve/test_app.py", "docs/index.md", "recipes/laptop.toml"):  # fmt: skip
        assert (sdist / name).is_file(), name
    assert not list(sdist.rglob("*.pyc"))


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(sdist, tmp_path):
    with zipfile.ZipFile(built("wheel", sdist, tmp_path / "wheel")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        described = wheel.read(metadata).decode()
    walked = os.walk(ROOT / "openalign", followlinks=True)  # recipes/ is linked into the package
    files = {str(Path(folder, name).relative_to(ROOT)) for folder, _, names in walked for name in names}
    assert names == {name for name in files if "__pycache__" not in name}
    assert "openalign/recipes/laptop.toml" in names
    assert f"Version: {openalign.__version__}" in described and "Provides-Extra: curate" in described
