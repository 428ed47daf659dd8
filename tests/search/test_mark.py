"""Where matches end, on made collections whose clusters are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from transformers import SiglipModel

from openalign.commands.output import terminal
from openalign.search import Index
from openalign.search.mark import BEST, Mark, best_scores, calibrated, captions
from openalign.search.results.hits import Hits
from openalign.serve.app import create_app
from tests.model.foreign_folders import siglip_folder

WIDTH = 64
RNG = np.random.default_rng(7)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def scattered(center_D, count, spread=0.6):
    """Vectors around a direction, as images of one thing."""
    return unit(center_D + spread * unit(RNG.normal(size=(count, WIDTH))))


THINGS = unit(RNG.normal(size=(12, WIDTH)))
UNRELATED = unit(RNG.normal(size=(300, WIDTH)))


def collection(*counts):
    """Images of the first things, so many of each."""
    return np.concatenate([scattered(thing, count) for thing, count in zip(THINGS, counts, strict=False)])


def within(made: Mark, query_D, images_ND, asked="text"):
    scores_N = images_ND @ query_D
    return scores_N >= made.level(query_D, np.sort(scores_N)[::-1].tolist(), asked)


@pytest.mark.parametrize("counts", [(40, 40, 40, 40, 40), (5, 300, 20, 80, 10), (400, 30, 30)])
def test_matches_are_the_images_of_the_thing_that_is_asked_for(counts):
    images_ND = collection(*counts)
    made = calibrated(images_ND, UNRELATED, len(images_ND))
    first = 0
    for thing, count in zip(THINGS, counts, strict=False):
        found = within(made, unit(thing + 0.3 * unit(RNG.normal(size=WIDTH))), images_ND)
        of_it = np.zeros(len(images_ND), bool)
        of_it[first : first + count] = True
        first += count
        assert found[of_it].mean() > 0.7
        assert found[~of_it].mean() < 0.01


def test_nothing_matches_what_is_not_there():
    images_ND = collection(40, 40, 40, 40)
    made = calibrated(images_ND, UNRELATED, len(images_ND))
    told = [not within(made, thing, images_ND).any() for thing in THINGS[4:]]
    unrelated = [not within(made, query_D, images_ND).any() for query_D in unit(RNG.normal(size=(200, WIDTH)))]
    assert np.mean(told) > 0.8
    assert np.mean(unrelated) > 0.9


def test_all_images_of_a_collection_of_one_thing_may_match():
    images_ND = scattered(THINGS[0], 50, spread=0.4)
    made = calibrated(images_ND, UNRELATED, 50)
    assert within(made, THINGS[0], images_ND).all()
    assert not within(made, THINGS[1], images_ND).any()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_few_images_are_enough(count):
    images_ND = scattered(THINGS[0], count)
    made = calibrated(images_ND, UNRELATED, count)
    assert within(made, THINGS[0], images_ND)[: BEST - 1].any()
    assert not within(made, unit(-THINGS[0]), images_ND).any()
    assert (made.neighbours is None) == (count == 1)


def test_equal_images_match_together_or_not_at_all():
    images_ND = np.repeat(THINGS[:1], 30, axis=0)
    made = calibrated(images_ND, UNRELATED, 30)
    assert within(made, THINGS[0], images_ND).all()
    assert within(made, THINGS[0], images_ND, "image").all()
    assert not within(made, unit(-THINGS[0]), images_ND).any()


def test_an_image_is_compared_with_how_similar_images_are_to_each_other():
    images_ND = collection(40, 40, 40)
    made = calibrated(images_ND, UNRELATED, len(images_ND))
    alike = within(made, scattered(THINGS[1], 1)[0], images_ND, "image")
    assert alike[40:80].mean() > 0.5
    assert not alike[:40].any()
    assert not alike[80:].any()
    assert not within(made, unit(-images_ND.mean(axis=0)), images_ND, "image").any()


def test_of_other_queries_it_is_never_told_that_nothing_matches():
    images_ND = collection(40, 40)
    made = calibrated(images_ND, UNRELATED, len(images_ND))
    assert within(made, THINGS[9], images_ND, "both").any()


def test_what_is_not_finite_is_left_out():
    images_ND, broken_ND = collection(20, 20), np.full((2, WIDTH), np.nan, np.float32)
    made = calibrated(images_ND, UNRELATED, 40)
    texts = np.concatenate([UNRELATED, np.full((1, WIDTH), np.inf, np.float32)])
    assert calibrated(images_ND, texts, 40) == made
    assert all(map(math.isfinite, calibrated(np.concatenate([images_ND, broken_ND]), UNRELATED, 42).mean))
    assert calibrated(broken_ND, UNRELATED, 2) is None
    assert calibrated(images_ND, broken_ND, 40) is None


def test_no_image_is_no_match():
    assert calibrated(collection(9), UNRELATED, 9).level(THINGS[0], [], "text") == math.inf


def test_it_is_the_same_each_time():
    images_ND = collection(30, 30)
    assert calibrated(images_ND, UNRELATED, 60) == calibrated(images_ND.copy(), UNRELATED.copy(), 60)


@pytest.mark.parametrize("total", [8_000, 16_000])
def test_a_sample_tells_what_the_whole_collection_would(total):
    """The growth of the best scores with the number of images is measured on the sample."""
    images_ND = unit(RNG.normal(size=(total, WIDTH)))
    whole = calibrated(images_ND, UNRELATED, total)
    sampled = calibrated(images_ND[::8], UNRELATED, total)
    uncorrected = calibrated(images_ND[::8], UNRELATED, total // 8)
    for kind in ("captions", "neighbours"):
        true, corrected, as_measured = (getattr(made, kind).center for made in (whole, sampled, uncorrected))
        assert abs(corrected - true) < 0.5 * (true - as_measured)


def test_best_scores_are_means_of_the_best_after_those_skipped():
    images_ND = unit(RNG.normal(size=(50, WIDTH)))
    expected = np.sort(images_ND @ images_ND.T, axis=1)[:, ::-1][:, 1 : 1 + BEST].mean(axis=1)
    np.testing.assert_allclose(best_scores(images_ND, images_ND, skip=1), expected, rtol=1e-5)


def test_captions_are_distinct_and_plain():
    texts = captions()
    assert len(set(texts)) == len(texts) > 300
    assert all(text == text.strip() and text.isascii() for text in texts)


def test_hits_say_whether_they_match(index):
    assert index.store.meta.mark is not None
    hits = index.search("red", top=8)
    assert [hit.within for hit in hits] == sorted((hit.within for hit in hits), reverse=True)
    matching = [hit.image.rpartition("-")[2] for hit in hits if hit.within]
    assert matching.count("red.png") == 2
    assert not {"blue.png", "green.png"} & set(matching)
    assert not hits.nothing_matches


def test_the_mark_depends_neither_on_top_nor_on_conditions(index):
    whole = {hit.row: hit.within for hit in index.search("red", top=8)}
    assert [hit.within for hit in index.search("red", top=1)] == [True]
    some = index.search("red", where=["width>80"], top=8)
    assert {hit.row: hit.within for hit in some} == {hit.row: whole[hit.row] for hit in some}


def test_an_index_without_a_mark_shows_everything(index, monkeypatch):
    monkeypatch.setattr(index.store, "meta", replace(index.store.meta, mark=None))
    hits = index.search("red", top=8)
    assert all(hit.within for hit in hits)
    assert not hits.nothing_matches


@pytest.mark.slow
def test_it_is_measured_again_only_when_a_tenth_of_the_images_is_new(photos, paint, paint_encoder, tmp_path):
    to = tmp_path / "grown.index"
    for number in range(30):
        paint(photos / f"more-{number}.png", "red", size=(50 + number, 40))
    before = Index.build([photos], model=paint_encoder, to=to).store.meta.mark
    paint(photos / "one-more.png", "blue", size=(51, 52))
    assert Index.build([photos], model=paint_encoder, to=to).store.meta.mark == before
    for number in range(5):
        paint(photos / f"others-{number}.png", "blue", size=(70 + number, 52))
    assert Index.build([photos], model=paint_encoder, to=to).store.meta.mark.images == before.images + 6


def test_what_is_not_there_is_told_and_the_most_similar_are_named(index, capsys):
    hits = index.search("a dog", top=8)
    assert hits.nothing_matches and len(hits) == 8
    terminal.print_hits(hits, show_all=False)
    printed = capsys.readouterr().out
    assert printed.startswith("Nothing matches.") and printed.count(".png") == 3
    assert printed.endswith("--all shows the 8 most similar images.\n")
    terminal.print_hits(hits, show_all=True)
    assert capsys.readouterr().out.count(".png") == 8


def test_where_no_image_meets_the_conditions_a_sentence_says_so(index, capsys):
    terminal.print_hits(index.search("red", where=["width>9000"]), show_all=False, conditions=True)
    assert "meets the conditions" in capsys.readouterr().out


def test_where_the_query_is_all_that_the_index_has_no_condition_is_blamed(index, capsys):
    terminal.print_hits(index.search(row=list(range(8))), show_all=False)
    assert capsys.readouterr().out == "Nothing matches: the index has no other image.\n"


def test_only_matches_are_printed_unless_all_are_asked_for(index, capsys):
    hits = index.search("red", top=8)
    matching = sum(hit.within for hit in hits)
    terminal.print_hits(hits, show_all=False)
    printed = capsys.readouterr().out
    assert printed.count(".png") == matching < 8
    assert f"{8 - matching} of the 8 most similar images lie beyond" in printed
    terminal.print_hits(Hits(hits[: matching + 1]), show_all=False)
    assert f"1 of the {matching + 1} most similar images lies beyond" in capsys.readouterr().out
    terminal.print_hits(Hits(hits[:1]), show_all=False)
    assert "beyond" not in capsys.readouterr().out


def test_the_rest_interface_says_it_too(index):
    with TestClient(create_app(index)) as client:
        found = client.get("/api/search", params={"text": "red", "top": 8}).json()
        missing = client.get("/api/search", params={"text": "a dog", "top": 8}).json()
    assert not found["nothing_matches"] and found["hits"][0]["within"] and not found["hits"][-1]["within"]
    assert missing["nothing_matches"] and not any(hit["within"] for hit in missing["hits"])


@pytest.mark.slow
def test_a_siglip_model_has_a_mark_that_does_not_depend_on_its_bias(photos, tmp_path):
    """A bias shifts all logits alike, so as a mark it would be one threshold of the cosine."""
    marks = []
    for bias in (-10.0, 3.0):
        folder = siglip_folder(tmp_path / f"siglip{bias}")
        model = SiglipModel.from_pretrained(folder)
        model.logit_bias.data.fill_(bias)
        model.save_pretrained(folder)
        index = Index.build([photos], model=folder, to=tmp_path / f"{bias}.index")
        hits = index.search("a red field", top=8)
        assert [hit.within for hit in hits] == sorted((hit.within for hit in hits), reverse=True)
        marks.append((index.store.meta.mark, [(hit.image, hit.within) for hit in hits]))
    assert marks[0] == marks[1]
