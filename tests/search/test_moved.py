"""An index that is moved, alone, with its model, or with its photos; and hits that open from anywhere."""

import shutil
from pathlib import Path

import pytest

from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.search import Index


@pytest.fixture
def model_folder(paint_encoder, monkeypatch) -> Path:
    """Loads the painting model from any folder that holds a file `paint`, whose content is its fingerprint."""

    def load(source):
        if not (Path(source) / "paint").is_file():
            raise OpenAlignError(f"{source} does not exist.")
        paint_encoder.name, paint_encoder.fingerprint = str(source), (Path(source) / "paint").read_text()
        return paint_encoder

    monkeypatch.setattr(hub, "load", load)
    return paint_encoder


def make_model(folder: Path, fingerprint: str = "f1") -> Path:
    folder.mkdir(parents=True)
    (folder / "paint").write_text(fingerprint)
    return folder


@pytest.mark.parametrize("place", ["photos.index", "photos/photos.index", "photos/.index"])
def test_photos_and_their_index_are_moved_together(photos, tmp_path, paint_encoder, place):
    top = tmp_path / "disk"
    photos.rename(top / "photos") if top.mkdir() is None else None
    Index.build([top / "photos"], model=paint_encoder, to=top / place)
    top.rename(tmp_path / "moved")
    moved = Index.open(tmp_path / "moved" / place, paint_encoder)
    assert moved.store.meta.sources == [str(tmp_path / "moved" / "photos")]
    for hit in moved.search("red", top=8):
        assert hit.image == str(tmp_path / "moved" / "photos" / hit.indexed.name)
        assert moved.original(hit.row) == Path(hit.image).read_bytes()
    paint_encoder.images_embedded = 0
    again = Index.build([tmp_path / "moved" / "photos"], model=paint_encoder, to=tmp_path / "moved" / place)
    assert (len(again), paint_encoder.images_embedded) == (8, 0)


def test_an_index_moved_alone_finds_its_photos_where_they_were(photos, tmp_path, paint_encoder):
    Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "photos.index").rename(tmp_path / "a" / "b" / "photos.index")
    moved = Index.open(tmp_path / "a" / "b" / "photos.index")
    assert moved.original(3) == (photos / "3-yellow.png").read_bytes()
    assert moved.row(3).image == str(photos / "3-yellow.png")


def test_a_table_beside_its_index_is_moved_with_it(tmp_path, paint, paint_encoder):
    top = tmp_path / "disk"
    picture = paint(top / "pictures" / "x.png", "red").read_bytes()
    (top / "t.csv").write_text("image,caption\npictures/x.png,a red field\n")
    Index.build(top / "t.csv", model=paint_encoder, to=top / "i")
    top.rename(tmp_path / "moved")
    moved = Index.open(tmp_path / "moved" / "i")
    assert moved.row(0).image == str(tmp_path / "moved" / "pictures" / "x.png")
    assert moved.original(0) == picture


def test_hits_open_from_anywhere(photos, tmp_path, paint_encoder, monkeypatch):
    monkeypatch.chdir(photos.parent)
    Index.build(["photos"], model=paint_encoder, to="photos.index")
    monkeypatch.chdir("/")
    for hit in Index.open(tmp_path / "photos.index", paint_encoder).search("red", top=8):
        assert Path(hit.image).is_absolute() and Path(hit.image).is_file()


@pytest.mark.parametrize("near", ["model", "runs/mine/model"])
def test_a_model_is_moved_with_its_index(photos, tmp_path, model_folder, near):
    model = make_model(tmp_path / "disk" / near)
    Index.build([photos], model=model, to=tmp_path / "disk" / "photos.index")
    (tmp_path / "disk").rename(tmp_path / "moved")
    assert len(Index.open(tmp_path / "moved" / "photos.index").search("red", top=8)) == 8


def test_a_model_elsewhere_is_named(photos, tmp_path, model_folder):
    model = make_model(tmp_path / "disk" / "model")
    Index.build([photos], model=model, to=tmp_path / "disk" / "photos.index")
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    moved = model.rename(tmp_path / "a" / "b" / "c" / "d" / "m")
    with pytest.raises(OpenAlignError, match=r"The model of .*photos.index cannot be loaded: .*Name it with --model"):
        Index.open(tmp_path / "disk" / "photos.index").search("red")
    assert Index.open(tmp_path / "disk" / "photos.index", moved).search("red")


def test_another_model_that_lies_beside_a_moved_index_is_not_taken_for_it(photos, tmp_path, model_folder):
    model = make_model(tmp_path / "disk" / "model")
    Index.build([photos], model=model, to=tmp_path / "disk" / "photos.index")
    make_model(tmp_path / "other" / "model", "f2")
    shutil.copytree(tmp_path / "disk" / "photos.index", tmp_path / "other" / "photos.index")
    assert Index.open(tmp_path / "other" / "photos.index").search("red")  # by that where it was
    shutil.rmtree(model)
    with pytest.raises(OpenAlignError, match=r"made by the model .*not by"):
        Index.open(tmp_path / "other" / "photos.index").search("red")
