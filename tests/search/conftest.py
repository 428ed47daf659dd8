from pathlib import Path

import pytest

from openalign.search import Index


@pytest.fixture
def photos(tmp_path: Path, paint) -> Path:
    """Eight images in a folder, one colour each or two, the first three with a text beside them."""
    folder = tmp_path / "photos"
    for number, colour in enumerate(["red", "green", "blue", "yellow", "violet", "white", "red", "blue"]):
        path = paint(folder / f"{number}-{colour}.png", colour, size=(60 + 10 * number, 40 + number))
        if number < 3:
            path.with_suffix(".txt").write_text(f"a {colour} field")
    return folder


@pytest.fixture
def index(photos: Path, tmp_path: Path, paint_encoder) -> Index:
    return Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
