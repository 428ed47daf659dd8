import sqlite3
from pathlib import Path

import numpy as np
import pytest

from openalign.errors import OpenAlignError, UsageError
from openalign.search import Index, parse_query
from tests.conftest import PaintEncoder

CAPTIONS = {
    "0-red.png": "violet",  # says something else than it shows
    "1-green.png": "green\na white lawn",
    "2-blue.png": "blue",
    "3-yellow.png": "blue",
    "4-white.png": "",
}


@pytest.fixture
def folder(tmp_path: Path, paint) -> Path:
    for name in CAPTIONS:
        paint(tmp_path / "photos" / name, name[2:].removesuffix(".png"), size=(60, 40 + int(name[0])))
    listed(tmp_path / "photos", CAPTIONS)
    return tmp_path / "photos"


def listed(folder: Path, captions: dict[str, str]) -> None:
    rows = [f"{name},{text}" for name, texts in captions.items() for text in texts.split("\n")]
    (folder / "pairs.csv").write_text("\n".join(["file,text", *rows]) + "\n")


@pytest.fixture
def captioned(folder, tmp_path, paint_encoder) -> Index:
    return Index.build(folder, model=paint_encoder, to=tmp_path / "x", embed_texts=True)


def images(hits) -> list[str]:
    return [Path(hit.image).name for hit in hits]


def test_pictures_are_compared_unless_texts_are_asked_for(captioned):
    assert images(captioned.search("violet", top=1)) != ["0-red.png"]
    (hit,) = captioned.search("violet", top=1, against="text")
    assert (Path(hit.image).name, hit.caption) == ("0-red.png", "violet")
    assert hit.score == pytest.approx(1, abs=0.01)


def test_an_image_finds_its_nearest_texts(captioned, folder):
    hits = captioned.search(parse_query(f"img:{folder / '2-blue.png'}"), against="text", fold=True, top=3)
    assert hits[0].caption == "blue" and hits[0].alike == 1  # two images have it
    assert len({hit.caption for hit in hits}) == 3
    assert images(captioned.search(image=folder / "2-blue.png", against="text", top=2)) == [
        "2-blue.png",
        "3-yellow.png",
    ]


def test_an_image_is_found_by_the_best_of_its_texts_and_only_once(captioned):
    hits = captioned.search("green", against="text", top=10)
    assert (images(hits)[0], hits[0].caption) == ("1-green.png", "green")
    assert sorted(images(hits)) == ["0-red.png", "1-green.png", "2-blue.png", "3-yellow.png"]


def test_both_finds_what_shows_it_and_what_is_called_so(captioned):
    hits = captioned.search("blue", against="both", top=5)
    assert set(images(hits[:2])) == {"2-blue.png", "3-yellow.png"}
    assert sorted(images(hits)) == sorted(CAPTIONS)
    by_name = {Path(hit.image).name: hit for hit in hits}
    assert by_name["3-yellow.png"].caption == "blue"
    assert by_name["4-white.png"].caption is None


def test_a_longer_answer_begins_with_the_shorter_one(captioned):
    for against in ("image", "text", "both"):
        longest = images(captioned.search("yellow + 0.3*blue", against=against, top=5))
        assert all(
            images(captioned.search("yellow + 0.3*blue", against=against, top=top)) == longest[:top]
            for top in (1, 2, 3, 4)
        )


def test_conditions_and_rows_of_the_query_hold_for_texts_too(captioned):
    assert images(captioned.search("blue", against="text", where=["image=3*"])) == ["3-yellow.png"]
    row = captioned.search("blue", against="text", top=1)[0].row
    hits = captioned.search(row=row, against="text", top=9)
    assert row not in [hit.row for hit in hits]
    (hit,) = captioned.search("blue", against="text", where=["image=2*"], fold=True)
    assert hit.alike == 0


@pytest.mark.parametrize("against", ["text", "both"])
def test_an_index_without_vectors_of_texts_says_how_to_get_them(folder, tmp_path, paint_encoder, against):
    index = Index.build(folder, model=paint_encoder, to=tmp_path / "y")
    with pytest.raises(UsageError, match="index again with --embed-texts"):
        index.search("red", against=against)
    assert Index.build(folder, model=paint_encoder, to=tmp_path / "y", embed_texts=True).search("red", against=against)


def test_an_unknown_kind_of_comparison_is_refused(captioned):
    with pytest.raises(UsageError, match="image, text, both"):
        captioned.search("red", against="caption")


def test_texts_follow_the_images_in_later_runs(captioned, folder, paint, paint_encoder):
    paint(folder / "5-red.png", "red", size=(70, 41))
    listed(folder, CAPTIONS | {"5-red.png": "a yellow van", "1-green.png": "green"})
    index = Index.build(folder, model=paint_encoder, to=captioned.store.folder)
    assert set(index.store.texts.texts) == {"violet", "green", "blue", "a yellow van"}
    assert images(index.search("yellow", against="text", top=1)) == ["5-red.png"]
    index.store.check_thoroughly()


def test_only_new_texts_are_embedded(captioned, folder, paint, paint_encoder, monkeypatch):
    asked = []
    embed = paint_encoder.embed_texts
    monkeypatch.setattr(paint_encoder, "embed_texts", lambda texts: asked.append(list(texts)) or embed(texts))
    paint(folder / "5-red.png", "red", size=(70, 41))
    listed(folder, CAPTIONS | {"5-red.png": "blue\na new one"})
    Index.build(folder, model=paint_encoder, to=captioned.store.folder)
    assert ["a new one"] in asked and not any("violet" in texts for texts in asked)


def test_texts_keep_their_vectors_when_all_is_embedded_again_by_another_model(captioned, folder):
    other = PaintEncoder()
    other.fingerprint = "beef"
    index = Index.build(folder, model=other, to=captioned.store.folder, re_embed=True)
    assert set(index.store.texts.texts) == {"violet", "green", "a white lawn", "blue"}
    assert index.search("violet", against="text")


def test_an_index_that_cannot_be_opened_is_built_anew_with_its_texts(captioned, folder, paint_encoder):
    captioned.store.close()
    (captioned.store.folder / "rows.sqlite").write_bytes(b"no table")
    index = Index.build(folder, model=paint_encoder, to=captioned.store.folder)
    assert len(index.store.texts) == 4


def test_texts_are_embedded_from_then_on_even_if_there_was_none_at_first(folder, tmp_path, paint_encoder):
    listed(folder, dict.fromkeys(CAPTIONS, ""))
    index = Index.build(folder, model=paint_encoder, to=tmp_path / "y", embed_texts=True)
    assert len(index.store.texts) == 0
    listed(folder, CAPTIONS)
    assert len(Index.build(folder, model=paint_encoder, to=tmp_path / "y").store.texts) == 4


@pytest.mark.parametrize("re_embed", [False, True])
def test_texts_can_be_left_without_vectors_again(captioned, folder, paint_encoder, re_embed):
    for switch in (False, None):
        index = Index.build(
            folder, model=paint_encoder, to=captioned.store.folder, embed_texts=switch, re_embed=re_embed
        )
        assert len(index.store.texts) == 0 and index.store.meta.text_mark is None
        index.store.check_thoroughly()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE texts SET text = 'red' WHERE text = 'violet'",
        "UPDATE texts SET vector = zeroblob(6) WHERE number = 1",
        "UPDATE texts SET vector = x'00' WHERE number = 2",
        "DELETE FROM texts WHERE number = 2",
    ],
)
def test_changed_texts_are_told(captioned, paint_encoder, sql):
    table = sqlite3.connect(captioned.store.folder / "rows.sqlite")
    table.execute(sql)
    table.commit()
    table.close()
    with pytest.raises(OpenAlignError, match="its texts have changed"):
        Index.open(captioned.store.folder, paint_encoder).search("red", against="text")


def test_the_texts_have_a_mark_of_their_own(captioned):
    mark = captioned.store.meta.text_mark
    assert mark is not None and mark.images == 4
    assert len(mark.mean) == captioned.store.meta.width
    assert np.isfinite([mark.captions.center, mark.neighbours.center]).all()


@pytest.mark.parametrize("against", ["image", "text", "both"])
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("where", [(), ("image=*e*",)])
def test_a_listing_has_the_images_of_a_search_in_the_same_order(captioned, against, fold, where):
    for query in ("blue", "a white lawn - green"):
        how = {"against": against, "fold": fold, "where": where}
        hits, listed = captioned.search(query, top=9, **how), captioned.listing(query, **how)
        assert listed.rows.tolist() == [hit.row for hit in hits]
        assert listed.scores == pytest.approx([hit.score for hit in hits], abs=1e-3)
        assert listed.within == sum(hit.within for hit in hits)
        assert not fold or listed.alike.tolist() == [hit.alike for hit in hits]


@pytest.mark.parametrize("against", ["image", "text", "both"])
def test_a_listing_leaves_out_the_rows_of_the_query_and_counts_what_it_folds(captioned, against):
    for row in range(4):
        how = {"row": row, "against": against, "fold": True}
        listed, hits = captioned.listing(**how), captioned.search(**how)
        assert row not in listed.rows
        assert [listed.rows.tolist(), listed.alike.tolist()] == [[h.row for h in hits], [h.alike for h in hits]]


@pytest.mark.parametrize(("against", "sort"), [("image", "date"), ("text", "-date")])
def test_a_listing_says_that_no_match_has_a_date(captioned, against, sort):
    listed = captioned.listing("blue - green", against=against, sort=sort)
    hits = captioned.search("blue - green", against=against, sort=sort)
    assert listed.note == hits.note != None  # noqa: E711
    assert listed.rows.tolist() == [hit.row for hit in hits]
    assert captioned.listing("blue - green", against=against, sort="name").note is None


@pytest.mark.parametrize("against", ["text", "both"])
def test_a_listing_needs_vectors_of_texts_and_puts_matches_in_order(
    captioned, folder, tmp_path, paint_encoder, against
):
    sorted_ = captioned.listing("blue", against=against, sort="-name")
    assert sorted_.rows.tolist() == [hit.row for hit in captioned.search("blue", top=9, against=against, sort="-name")]
    assert len(captioned.listing(against=against).rows) == 5  # without a query nothing is compared
    without = Index.build(folder, model=paint_encoder, to=tmp_path / "y")
    with pytest.raises(UsageError, match="index again with --embed-texts"):
        without.listing("red", against=against)
