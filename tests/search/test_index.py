import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.errors import OpenAlignError, UsageError
from openalign.search import Index, parse_query
from openalign.search.query.compose import unit


def colours(hits) -> list[str]:
    return [Path(hit.image).stem.split("-")[1] for hit in hits]


def test_a_text_finds_the_images_that_show_it(index):
    assert colours(index.search("a red thing", top=2)) == ["red", "red"]


def test_hits_are_best_first_with_cosines_and_the_text_of_the_source(index, photos):
    hits = index.search("blue", top=8)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].score == pytest.approx(1, abs=0.01)
    assert {(hit.image, hit.text) for hit in hits[:2]} == {
        (str(photos / "2-blue.png"), "a blue field"),
        (str(photos / "7-blue.png"), None),
    }


def test_an_image_in_any_form_finds_similar_ones(index, photos):
    path = photos / "4-violet.png"
    image = Image.open(path)
    for given in (path, str(path), path.read_bytes(), image, np.asarray(image)):
        assert index.search(image=given, top=1)[0].score == pytest.approx(1, abs=1e-3)
        assert colours(index.search(image=given, top=1)) == ["violet"]


def test_a_row_finds_similar_images_but_not_itself(index):
    red = next(hit.row for hit in index.search("red", top=1))
    hits = index.search(row=red, top=8)
    assert red not in [hit.row for hit in hits]
    assert len(hits) == 7
    assert colours(hits)[0] == "red"


def test_an_image_plus_a_text_finds_the_mixture(index, photos):
    assert colours(index.search(image=photos / "0-red.png", plus=["blue"], top=1)) == ["violet"]
    assert index.search("blue", image=photos / "0-red.png", top=3) == index.search(
        image=photos / "0-red.png", plus=["blue"], top=3
    )


def test_subtracted_texts_are_found_last(index):
    assert colours(index.search("white", minus=["red"], top=8))[-2:] == ["red", "red"]
    assert set(colours(index.search(minus=["red"], top=8))[-2:]) == {"red"}


def test_one_text_says_what_arguments_say(index):
    assert index.search("row:0 + blue - yellow + 2*white", top=8) == index.search(
        "2*white", row=0, plus=["blue"], minus=["yellow"], top=8
    )
    assert colours(index.search("0.001*violet + 1000*yellow", top=1)) == ["yellow"]


def test_plus_and_minus_texts_mean_themselves(index):
    assert index.search(plus=["red - blue"]) == index.search('"red - blue"') != index.search("red - blue")


def test_several_images_and_rows_are_one_query_without_the_rows_among_the_results(index, photos):
    red, blue = (index.search(colour, top=1)[0].row for colour in ("red", "blue"))
    paths = [photos / "0-red.png", photos / "2-blue.png"]
    assert colours(index.search(image=paths, top=1)) == ["violet"]
    hits = index.search(row=[red, blue], top=8)
    assert {hit.row for hit in hits} == set(range(8)) - {red, blue}
    assert colours(hits)[0] == "violet"
    np.testing.assert_allclose(index.embed_query(image=paths), index.embed_query(row=[red, blue]), atol=1e-3)


def test_the_model_is_called_once_for_all_texts_and_once_for_all_images(index, photos, monkeypatch):
    called = []

    def counted(name, embed):
        return lambda given: called.append((name, len(given))) or embed(given)

    for name in ("embed_texts", "embed_images"):
        monkeypatch.setattr(index.model, name, counted(name, getattr(index.model, name)))
    index.search("red + blue - white", image=[photos / "0-red.png", photos / "2-blue.png"], row=3, minus=["violet"])
    assert sorted(called) == [("embed_images", 2), ("embed_texts", 4)]


def test_a_text_opens_no_file_but_a_parsed_query_does(index, photos):
    text = f'img:"{photos / "4-violet.png"}" + violet'
    with pytest.raises(UsageError, match=r"character 1 .*opens no file"):
        index.search(text)
    assert colours(index.search(parse_query(text), top=1)) == ["violet"]


def test_a_missing_image_of_a_query_is_named(index):
    with pytest.raises(OpenAlignError, match=r"none\.png"):
        index.search(parse_query("img:none.png"))


def test_results_equal_a_plain_ranking_of_all_vectors(index):
    query = index.embed_query("yellow", minus=["green"])
    expected = np.argsort(-(unit(index.vectors.astype(np.float32)) @ query), kind="stable")
    assert [hit.row for hit in index.search("yellow", minus=["green"], top=8)] == list(expected)


def test_asking_for_more_results_than_images_returns_all_images(index):
    assert len(index.search("red", top=100)) == len(index) == 8


def test_an_opened_index_gives_the_results_of_the_built_one(index, tmp_path, paint_encoder):
    opened = Index.open(tmp_path / "photos.index", model=paint_encoder)
    assert opened.search("green") == index.search("green")
    assert np.array_equal(opened.vectors, index.vectors)


def test_the_original_and_a_thumbnail_can_be_read(index, photos):
    assert index.original(3) == (photos / "3-yellow.png").read_bytes()
    assert Image.open(io.BytesIO(index.thumbnail(3))).format == "JPEG"


def test_an_original_that_changed_after_indexing_is_refused(index, photos, paint):
    paint(photos / "3-yellow.png", "red")
    with pytest.raises(OpenAlignError, match=r"3-yellow.png changed after it was indexed"):
        index.original(3)


def test_an_index_of_another_model_names_both(index, tmp_path, paint_encoder):
    paint_encoder.name, paint_encoder.fingerprint = "other/model", "fedcba9876543210"
    with pytest.raises(OpenAlignError, match=r"made by the model paint \(0123456789ab\), not by other/model \(fedcba"):
        Index.open(tmp_path / "photos.index", model=paint_encoder)


def test_a_missing_model_is_named_with_its_index(index, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OpenAlignError, match=r"The model of .*photos\.index cannot be loaded: .*paint"):
        Index.open(tmp_path / "photos.index").search("red")


def test_a_folder_of_other_things_is_not_advised_as_the_place_of_an_index(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, advised in (("photos", "--to INDEX`"), ("photos.index", f"--to {tmp_path / 'photos.index'}`")):
        with pytest.raises(OpenAlignError, match=re.escape(advised)):
            Index.open(tmp_path / name)


@pytest.mark.parametrize("address", ["milvs://localhost/photos", "http://localhost:8000", "s3://bucket/photos.index"])
def test_an_address_of_another_kind_is_not_taken_as_a_folder(tmp_path, paint, paint_encoder, address):
    with pytest.raises(UsageError, match=r"an index is a folder of this machine, or milvus://HOST/COLLECTION"):
        Index.open(address)
    paint(tmp_path / "photos" / "a.png", "red")
    with pytest.raises(UsageError, match="an index is a folder of this machine"):
        Index.build(tmp_path / "photos", model=paint_encoder, to=address)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not an index; make one with `openalign index PATH"),
        ("{", "is damaged; build the index again"),
        ('{"version": 99}', "written by a newer openalign .index version 99, this one reads 4.: update openalign"),
        ('{"version": 2, "rows": 3}', "has index version 2, this openalign reads 4; build the index again"),
        ('{"version": 4, "rows": 3}', "is damaged; build the index again"),
    ],
)
def test_a_folder_that_is_not_an_index_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "meta.json").write_text(content)
    with pytest.raises(OpenAlignError, match=message):
        Index.open(tmp_path)


def test_an_index_with_a_truncated_file_is_refused(index, tmp_path):
    vectors = tmp_path / "photos.index" / "vectors.1.f16"
    vectors.write_bytes(vectors.read_bytes()[:-1])
    with pytest.raises(OpenAlignError, match="is damaged"):
        Index.open(tmp_path / "photos.index")


@pytest.mark.parametrize("query", [{}, {"query": "  "}, {"plus": [" "], "minus": [""]}])
def test_an_empty_query_is_refused(index, query):
    with pytest.raises(OpenAlignError, match="query is empty"):
        index.search(**query)


def test_a_row_that_does_not_exist_is_refused(index):
    with pytest.raises(OpenAlignError, match=r"row 8 is not in .*: it has rows 0 to 7"):
        index.search(row=8)
