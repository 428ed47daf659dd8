import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from openalign.search import Index
from openalign.search.results.saved import SavedQuery
from openalign.search.store.checks import check_of
from openalign.search.store.meta import VERSION


@pytest.fixture
def index(photos: Path, tmp_path: Path, paint_encoder) -> Index:
    return Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")


def shown(index: Index) -> dict[str, object]:
    """All images by name, with texts, sizes, vectors and thumbnails."""
    rows = index.store.rows(index.store.numbers)
    return {
        row.image: (row.texts, row.width, row.height, index.store.vector(row.row).tolist(), index.thumbnail(row.row))
        for row in rows
    }


def images_of(index: Index) -> list[str]:
    return [Path(row.image).name for row in index.store.rows(index.store.numbers)]


def test_an_unchanged_folder_is_not_embedded_again(index, photos, tmp_path, paint_encoder):
    assert paint_encoder.images_embedded == 8
    again = Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    assert paint_encoder.images_embedded == 8
    assert np.array_equal(again.vectors, index.vectors)
    assert again.thumbnail(4) == index.thumbnail(4)


def test_new_changed_renamed_and_missing_images_are_recognised(index, photos, tmp_path, paint_encoder, paint):
    paint(photos / "9-green.png", "green", size=(90, 90))
    paint(photos / "0-red.png", "white", size=(91, 90))
    (photos / "1-green.png").rename(photos / "1-renamed.png")
    (photos / "2-blue.png").unlink()
    changed = Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    assert paint_encoder.images_embedded == 8 + 2
    assert images_of(changed) == [
        "1-renamed.png", "3-yellow.png", "4-violet.png", "5-white.png", "6-red.png", "7-blue.png", "0-red.png",
        "9-green.png",
    ]  # fmt: skip
    fresh = Index.build([photos], model=paint_encoder, to=tmp_path / "fresh.index")
    assert shown(changed) == shown(fresh)


def test_another_model_is_refused_unless_all_images_shall_be_embedded_again(index, photos, tmp_path, paint_encoder):
    before = Index.open(tmp_path / "photos.index")
    paint_encoder.name, paint_encoder.fingerprint = "other/model", "another"
    with pytest.raises(OpenAlignError, match=r"made by the model paint .*not by other/model .*: add --re-embed"):
        Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    assert paint_encoder.images_embedded == 8
    again = Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index", re_embed=True)
    assert paint_encoder.images_embedded == 16
    assert (again.store.meta.fingerprint, len(again)) == ("another", 8)
    assert len(before.store.rows(range(8))) == 8  # it was opened before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.index"]


def stated(folder, **changed):
    """Let `meta.json` say something else, as another version of the program would."""
    content = json.loads((folder / "meta.json").read_text()) | changed
    content.pop("check")
    (folder / "meta.json").write_text(json.dumps(content | {"check": check_of(content)}))


def test_an_index_of_an_older_version_is_made_anew_by_the_same_command(index, photos, tmp_path, paint_encoder, capsys):
    folder = tmp_path / "photos.index"
    index.saved.put("reds", SavedQuery("red"))
    index.store.close()
    stated(folder, version=3, texts=3)
    with closing(sqlite3.connect(folder / "rows.sqlite")) as table:
        table.executescript("DROP TABLE sketches; DROP TABLE alike")
    with pytest.raises(OpenAlignError, match=r"has index version 3, .* give the `openalign index` command"):
        Index.open(folder)
    again = Index.build([photos], model=paint_encoder, to=folder)
    assert "all images are embedded again: " in " ".join(capsys.readouterr().err.split())
    assert paint_encoder.images_embedded == 16
    assert (len(again), again.store.meta.version, again.saved.names()) == (8, VERSION, ["reds"])
    assert len(again.store.texts) == 3


def test_an_index_of_a_newer_version_is_replaced_only_if_that_is_asked_for(index, photos, tmp_path, paint_encoder):
    folder = tmp_path / "photos.index"
    index.store.close()
    stated(folder, version=VERSION + 1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for use in (lambda: Index.open(folder), lambda: Index.build([photos], model=paint_encoder, to=folder)):
        with pytest.raises(OpenAlignError, match=r"written by a newer openalign .*: update openalign, or .*--re-embed"):
            use()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(Index.build([photos], model=paint_encoder, to=folder, re_embed=True)) == 8


def test_images_that_cannot_be_read_are_listed_and_left_out(photos, tmp_path, paint_encoder):
    whole = (photos / "0-red.png").read_bytes()
    (photos / "0-red.png").write_bytes(whole[: len(whole) // 2])
    (photos / "1-green.png").write_bytes(b"no image")
    index = Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    assert len(index) == 6
    assert [re.search(r"\d-\w+\.png", problem)[0] for problem in index.problems] == ["0-red.png", "1-green.png"]
    assert "truncated PNG" in index.problems[0]


def test_sources_without_a_readable_image_are_refused_and_leave_no_index(tmp_path, paint_encoder):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(
        OpenAlignError, match=r"None of the images of .*photos could be read, the first because: .*a\.jpg"
    ):
        Index.build([tmp_path / "photos"], model=paint_encoder, to=tmp_path / "new.index")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_failed_rebuild_keeps_the_older_index(index, photos, tmp_path, paint_encoder):
    def fail(images):
        raise KeyboardInterrupt

    paint_encoder._embed_prepared = fail
    paint_encoder.fingerprint = "another"
    with pytest.raises(KeyboardInterrupt):
        Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index", re_embed=True)
    assert len(Index.open(tmp_path / "photos.index")) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.index"]


def test_a_folder_that_is_not_an_index_is_never_replaced(photos, tmp_path, paint_encoder):
    with pytest.raises(OpenAlignError, match="exists and is not an index; name a new folder with --to"):
        Index.build([photos], model=paint_encoder, to=photos)
    assert len(list(photos.glob("*.png"))) == 8


def test_several_sources_make_one_index(photos, tmp_path, paint_encoder, paint):
    table = tmp_path / "more" / "list.csv"
    paint(table.parent / "x.png", "violet")
    table.write_text("file,caption,page\nx.png,lilac,https://example.org/p\ngone.png,nothing,\n")
    index = Index.build([photos, table], model=paint_encoder, to=tmp_path / "both.index")
    row = index.row(8)
    assert (row.image, row.text, row.page) == (str(table.parent / "x.png"), "lilac", "https://example.org/p")
    assert (row.source, row.name) == (1, "x.png")
    assert index.original(8) == (table.parent / "x.png").read_bytes()
    assert len(index.problems) == 1 and "gone.png" in index.problems[0]


def test_images_in_shards_keep_their_url_and_page(tmp_path, paint, paint_encoder):
    image = paint(tmp_path / "a.png", "green").read_bytes()
    with ShardWriter(tmp_path / "curated" / "shards") as writer:
        writer.write("000000000", image, "meadow", {"image": "https://e.org/a.png", "page": "https://e.org/"})
    index = Index.build([tmp_path / "curated"], model=paint_encoder, to=tmp_path / "shards.index")
    (hit,) = index.search("green")
    assert (hit.image, hit.text, hit.page) == ("https://e.org/a.png", "meadow", "https://e.org/")
    assert index.original(0) == image


def test_thumbnails_are_small_upright_and_of_the_same_shape(tmp_path, paint, paint_encoder):
    wide = paint(tmp_path / "photos" / "wide.jpg", "blue", size=(1200, 600))
    turned = Image.open(wide)
    exif = turned.getexif()
    exif[0x0112] = 6  # shown after a quarter turn
    turned.save(wide.with_name("turned.jpg"), exif=exif)
    index = Index.build([wide.parent], model=paint_encoder, to=tmp_path / "i.index")
    sizes = {Path(row.image).name: (row.width, row.height) for row in index.store.rows([0, 1])}
    assert sizes == {"turned.jpg": (600, 1200), "wide.jpg": (1200, 600)}
    for row, size in ((0, (256, 512)), (1, (512, 256))):
        (tmp_path / "t.jpg").write_bytes(index.thumbnail(row))
        assert Image.open(tmp_path / "t.jpg").size == size


def test_credits_and_examples_survive_a_rebuild(index, photos, tmp_path, paint_encoder):
    (tmp_path / "photos.index" / "CREDITS").write_text("painted here")
    Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    assert (tmp_path / "photos.index" / "CREDITS").read_text() == "painted here"


def test_meta_names_the_model_and_the_sources(index, photos, tmp_path):
    meta = json.loads((tmp_path / "photos.index" / "meta.json").read_text())
    expected = {
        "images": 8, "rows": 8, "width": 3, "model": "paint", "model_beside": None, "model_name": "paint",
        "fingerprint": "0123456789abcdef", "sources": [str(photos)], "sources_beside": ["../photos"], "options": {},
        "lost": {}, "version": 4, "finished": True, "graph": None,
        "read_as": ["images with caption files, 8 rows (image: path, text: the .txt file beside each image)"],
    }  # fmt: skip
    assert {name: meta[name] for name in expected} == expected


def test_further_pages_of_new_images_are_counted(photos, tmp_path, paint_encoder):
    pages = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    pages[0].save(photos / "scan.tiff", save_all=True, append_images=pages[1:])
    index = Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index", strict=True)
    assert index.store.meta.lost == {"further pages or frames of images": 2}
