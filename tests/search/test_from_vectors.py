"""An index made from folders of vectors is the one that is made from their images."""

import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from openalign.embedding.embed import embed
from openalign.errors import OpenAlignError, UsageError
from openalign.model import hub
from openalign.search import Index

pytestmark = pytest.mark.slow


@pytest.fixture
def model(road):
    return road.run / "model"


@pytest.fixture
def vectors(photos, model, tmp_path):
    embed(photos, model=model, to=tmp_path / "vectors", workers=1, rows=3)
    return tmp_path / "vectors"


def shown(index, query):
    return [(hit.image.rpartition("/")[2], hit.text, round(hit.score, 3)) for hit in index.search(query, top=20)]


def rows_of(index):
    return index.store.rows(index.store.numbers.tolist())


def no_model(name):
    raise OpenAlignError(f"{name} is not here")


def test_it_answers_as_the_index_of_the_images_does_without_the_model(
    photos, vectors, model, tmp_path, monkeypatch, capsys
):
    expected = Index.build(photos, model=model, to=tmp_path / "images.index")
    with monkeypatch.context() as patched:
        patched.setattr(hub, "load", no_model)
        built = Index.build(vectors, to=tmp_path / "vectors.index")
    assert "Searches will not tell where matches end" in " ".join(capsys.readouterr().err.split())
    assert len(built) == len(expected) == 8
    assert built.store.meta.mark is None and expected.store.meta.mark is not None
    assert built.store.meta.fingerprint == expected.store.meta.fingerprint
    found = Index.open(tmp_path / "vectors.index")  # which loads the model that the manifest names
    for query in ("a red wall", "a blue wall"):
        assert shown(found, query) == shown(expected, query)
    for row in range(8):
        assert found.original(row) == expected.original(row)
        assert found.thumbnail(row) == expected.thumbnail(row)


@pytest.fixture(params=["captions", "table", "table elsewhere", "shards"])
def data(request, photos, tmp_path):
    """The photos with texts, and in all but the first with further columns."""
    if request.param == "captions":
        return photos
    rows = [{"url": f"https://x.test/{each.name}", "text": f"shows {each.stem}", "price": 3 * number, "shop": "Ana"}
            for number, each in enumerate(sorted(photos.glob("*.png")))]  # fmt: skip
    if request.param == "shards":
        with tarfile.open(tmp_path / "photos-0.tar", "w") as tar:
            for row, each in zip(rows, sorted(photos.glob("*.png")), strict=True):
                for suffix, content in (("png", each.read_bytes()), ("txt", row["text"].encode()),
                                        ("json", json.dumps(row).encode())):  # fmt: skip
                    member = tarfile.TarInfo(f"{each.stem}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        return tmp_path / "photos-0.tar"
    below = "photos/" if request.param == "table elsewhere" else ""
    table = (tmp_path if below else photos) / "listed.csv"
    for row, each in zip(rows, sorted(photos.glob("*.png")), strict=True):
        row["image_path"] = f"{below}{each.name}"
    table.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]))
    return table


def test_hits_show_and_conditions_choose_what_those_of_an_index_of_the_images_do(data, model, tmp_path):
    expected = Index.build(data, model=model, to=tmp_path / "images.index")
    embed(data, model=model, to=tmp_path / "made", workers=1)
    built = Index.build(tmp_path / "made", to=tmp_path / "vectors.index")
    ours, theirs = ([replace(row, row=0) for row in rows_of(index)] for index in (built, expected))
    assert ours == theirs and len(ours) == 8
    assert built.store.meta.columns == expected.store.meta.columns
    conditions = ["width>=90", "height<44", "text=*red*", "image=*-red*"]
    conditions += ["price>=9", "shop=ana"] if built.store.meta.columns else []
    for condition in conditions:
        found, wanted = (index.search("a red wall", where=[condition], top=20) for index in (built, expected))
        assert [hit.image for hit in found] == [hit.image for hit in wanted] != []
    assert built.original(0) == expected.original(0)


def test_where_the_photos_are_not_at_hand_hits_show_their_names(photos, vectors, tmp_path):
    photos.rename(tmp_path / "away")
    built = Index.build(vectors, to=tmp_path / "vectors.index")
    assert rows_of(built)[0].image == "0-red.png"
    with pytest.raises(OpenAlignError):
        built.original(0)


def test_where_the_model_is_at_hand_it_tells_where_matches_end(photos, vectors, model, tmp_path):
    expected = Index.build(photos, model=model, to=tmp_path / "images.index").store.meta.mark
    built = Index.build(vectors, to=tmp_path / "vectors.index").store.meta.mark
    assert built.captions.center == pytest.approx(expected.captions.center, abs=1e-3)


def test_again_it_writes_what_is_new_and_removes_what_is_gone(photos, vectors, model, paint, tmp_path):
    index = tmp_path / "vectors.index"
    Index.build([vectors], to=index)
    paint(photos / "9-green.png", "green", size=(99, 40))
    (photos / "3-yellow.png").unlink()
    embed(photos, model=model, to=vectors, workers=1, rows=3)
    built = Index.build([vectors], to=index)
    names = {row.name for row in rows_of(built)}
    assert len(built) == len(names) == 8
    assert "9-green.png" in names and "3-yellow.png" not in names


def test_several_folders_are_one_index_and_equal_files_one_row(photos, vectors, model, paint, tmp_path):
    paint(tmp_path / "more" / "new.png", "white", size=(77, 40))
    (tmp_path / "more" / "copy.png").write_bytes((photos / "0-red.png").read_bytes())
    embed(tmp_path / "more", model=model, to=tmp_path / "others", workers=1, thumbnails=False)
    built = Index.build([vectors, tmp_path / "others"], to=tmp_path / "both.index")
    assert len(built) == 9
    assert built.thumbnail(8)[:2] == b"\xff\xd8"


def test_what_was_left_out_is_told_by_the_index(photos, model, tmp_path):
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    embed(photos, model=model, to=tmp_path / "vectors", workers=1)
    built = Index.build(tmp_path / "vectors", to=tmp_path / "vectors.index")
    assert built.store.meta.lost == {"images that cannot be read": 1}
    with pytest.raises(OpenAlignError, match="1 images that cannot be read would be left out"):
        Index.build(tmp_path / "vectors", to=tmp_path / "strict.index", strict=True)


def test_vectors_and_images_are_not_mixed_nor_models(photos, vectors, model, paint_encoder, tmp_path):
    to = tmp_path / "none.index"
    with pytest.raises(UsageError, match="index them apart"):
        Index.build([vectors, photos], model=model, to=to)
    with pytest.raises(UsageError, match="are indexed with a model"):
        Index.build(photos, to=to)
    with pytest.raises(UsageError, match="looks at images"):
        Index.build(vectors, to=to, watch=True)
    with pytest.raises(OpenAlignError, match="vectors of another model"):
        Index.build(vectors, model=paint_encoder, to=to)
    assert not to.exists()


def test_a_damaged_partition_ends_the_run_and_the_next_one_goes_on(vectors, tmp_path):
    manifest = json.loads((vectors / "manifest.json").read_text())
    last = vectors / manifest["partitions"][-1]["file"]
    content = last.read_bytes()
    last.write_bytes(content[:-20] + bytes(20))
    with pytest.raises(OpenAlignError, match="its checksum differs"):
        Index.build(vectors, to=tmp_path / "vectors.index")
    last.write_bytes(content)
    assert len(Index.build(vectors, to=tmp_path / "vectors.index")) == 8


def test_vectors_stay_as_they_were_embedded(vectors, tmp_path):
    from openalign.embedding.read import Vectors

    built = Index.build(vectors, to=tmp_path / "vectors.index")
    by_digest = {row.digest: row.vector for batch in Vectors(vectors).batches() for row in batch.rows}
    for row in rows_of(built):
        np.testing.assert_array_equal(built.store.vector(row.row), by_digest[row.digest])
