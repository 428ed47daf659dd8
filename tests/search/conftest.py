import shutil
from pathlib import Path

import pytest

from openalign.search import Index, run
from tests.conftest import PaintEncoder


@pytest.fixture(scope="session")
def indexed_photos(tmp_path_factory: pytest.TempPathFactory, paint) -> Path:
    """Eight images in `photos`, one colour each or two, the first three with a text beside them; their index."""
    folder = tmp_path_factory.mktemp("indexed")
    for number, colour in enumerate(["red", "green", "blue", "yellow", "violet", "white", "red", "blue"]):
        path = paint(folder / "photos" / f"{number}-{colour}.png", colour, size=(60 + 10 * number, 40 + number))
        if number < 3:
            path.with_suffix(".txt").write_text(f"a {colour} field")
    Index.build([folder / "photos"], model=PaintEncoder(), to=folder / "photos.index").store.close()
    return folder


@pytest.fixture
def photos(indexed_photos: Path, tmp_path: Path) -> Path:
    """A copy of the images of `indexed_photos`."""
    return shutil.copytree(indexed_photos / "photos", tmp_path / "photos", dirs_exist_ok=True)


@pytest.fixture
def index(indexed_photos: Path, photos: Path, tmp_path: Path, paint_encoder: PaintEncoder) -> Index:
    """A copy of the index of `indexed_photos`, beside `photos`."""
    shutil.copytree(indexed_photos / "photos.index", tmp_path / "photos.index")
    return Index.open(tmp_path / "photos.index", model=paint_encoder)


@pytest.fixture(scope="module")
def with_a_problem(indexed_photos, tmp_path_factory) -> Path:
    """A folder with photos, one of them unreadable, and their index, which has no graph."""
    folder = tmp_path_factory.mktemp("problem")
    shutil.copytree(indexed_photos / "photos", folder / "photos")
    (folder / "photos" / "9-none.png").write_bytes(b"no image")
    Index.build([folder / "photos"], model=PaintEncoder(), to=folder / "photos.index").store.close()
    return folder


@pytest.fixture
def folder(with_a_problem, tmp_path) -> Path:
    """A copy of the index of `with_a_problem`, beside its photos."""
    shutil.copytree(with_a_problem, tmp_path, dirs_exist_ok=True)
    return tmp_path / "photos.index"


@pytest.fixture
def with_graph(photos, tmp_path, paint_encoder, monkeypatch) -> Path:
    monkeypatch.setattr(run, "EXACT_BELOW", 4)
    Index.build([photos], model=paint_encoder, to=tmp_path / "graph.index")
    return tmp_path / "graph.index"
