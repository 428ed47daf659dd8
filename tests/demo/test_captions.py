"""Captions say what their scene shows."""

from collections import Counter
from functools import cache

import pytest

pytest.importorskip("emoji")

from openalign.demo.artwork import KIND, LANGUAGES, name_in
from openalign.demo.backgrounds import BACKGROUNDS
from openalign.demo.captions import PLACES, article, caption, full_caption
from openalign.demo.scenes import Scene, Stream, arranged, random_of, training_scene
from openalign.demo.truth import word_count


@cache
def scenes() -> list[Scene]:
    return [training_scene(1, number) for number in range(2000)]


def captions(language: str) -> list[str]:
    return [caption(scene, random_of(1, Stream.TEXT, scene.number), language) for scene in scenes()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_have_three_to_twenty_words_and_name_every_object(language: str) -> None:
    for scene, text in zip(scenes(), captions(language), strict=True):
        assert 3 <= word_count(text) <= 20, text
        for kind in scene.kinds:
            names = (kind, KIND[kind].plural) if language == "en" else (name_in(language, kind),)
            assert any(name in text for name in names), (kind, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_background_has_its_own_phrases_in_every_language(language: str) -> None:
    told = [place for background in BACKGROUNDS for place in PLACES[background][language]]
    assert len(told) == len(set(told))


def test_most_captions_name_the_background_and_few_are_shared() -> None:
    texts = captions("en")
    told = sum(
        any(place in text for place in PLACES[scene.background]["en"])
        for scene, text in zip(scenes(), texts, strict=True)
    )
    assert 0.8 < told / len(texts) < 0.95
    assert max(Counter(texts).values()) <= 5


def test_full_captions_always_name_the_background() -> None:
    for scene in scenes()[:300]:
        text = full_caption(scene, random_of(1, Stream.TEXT, scene.number))
        assert any(place in text for place in PLACES[scene.background]["en"])


def test_relations_are_true_of_the_picture() -> None:
    for number in range(300):
        scene = arranged(2, number, ("snow", ("dog", "cat")))
        text = full_caption(scene, random_of(2, Stream.TEXT, number))
        if scene.arrangement == "row":
            assert any(
                way in text
                for way in (
                    "dog to the left of a cat",
                    "cat to the right of a dog",
                    "dog on the left and a cat on the right",
                )
            )
        else:
            assert any(way in text for way in ("dog above a cat", "cat below a dog", "dog over a cat"))


def test_captions_have_counts() -> None:
    scene = arranged(2, 0, ("snow", ("fox", "fox", "fox")))
    assert full_caption(scene, random_of(2, Stream.TEXT, 0)).startswith("three foxes")
    assert "3 x Fuchs" in caption(scene, random_of(2, Stream.TEXT, 0), "de")


def test_articles_fit_the_next_word() -> None:
    assert (article("apple"), article("apple", "big"), article("umbrella"), article("octopus", "tiny")) == (
        "an apple",
        "a big apple",
        "an umbrella",
        "a tiny octopus",
    )
