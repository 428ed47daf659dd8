import shutil
from pathlib import Path

import pytest

from openalign.search import Index
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
