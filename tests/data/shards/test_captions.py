"""Texts in any encoding, one or several in a file or a field."""

import pytest

from openalign.data.shards.captions import (
    captions_of,
    decoded_all,
    divided,
    field_at,
    hold_a_caption_a_line,
    usual_field,
    valid,
)


def test_texts_that_are_not_utf8_are_decoded_alike() -> None:
    words = ["café au lait", "deux hôtels près de la gare", "plain", "un élève à l'école"]
    assert decoded_all([word.encode("cp1252") for word in words]) == (words, "cp1252")
    cyrillic = ["Красная машина у дома", "Белый кот сидит на окне", "Зелёное яблоко на столе"]
    assert decoded_all([word.encode("cp1251") for word in cyrillic])[0] == cyrillic
    assert decoded_all(["Größe".encode(), "\ufeffa".encode(), "b\n".encode("utf-16")]) == (["Größe", "a", "b\n"], "")
    for charset in ("utf-16-le", "utf-16-be"):
        assert decoded_all(["two dogs".encode(charset)]) == (["two dogs"], "")


def test_bytes_that_are_no_text_are_none() -> None:
    assert decoded_all([b"\xff\xd8\xff\xe0\x00\x10JFIF", b"a", b"\0\1\2"]) == ([None, "a", None], "")


COCO = ["A man rides a horse.\nA horse with a man on it.\nSomebody rides across a wide green field in summer.\n"]
WRAPPED = [
    "The old lighthouse stands on a cliff above the sea, and its\n"
    "white tower can be seen from many miles away on a clear\n"
    "day, when fishing boats come home to the small harbour.",
    "Inside the kitchen there is a long wooden table with eight\n"
    "chairs around it, and a bowl of red apples in the middle.",
]


@pytest.mark.parametrize("texts", [COCO, ["ein Hund\nzwei Hunde", "drei Katzen"], ["a\r\nb\r\n"], [*COCO, WRAPPED[0]]])
def test_lines_are_captions_where_most_texts_have_several(texts: list[str]) -> None:
    assert hold_a_caption_a_line(texts)


@pytest.mark.parametrize(
    "texts",
    [["a"], [""], ["a\nb", "c", "d"], WRAPPED, ["Title\n\nA paragraph.", "Other\n\nMore."], ["a\n", "\nb"]],
)
def test_lines_of_prose_are_one_text(texts: list[str]) -> None:
    assert not hold_a_caption_a_line(texts)


def test_a_field_holds_a_caption_a_number_or_a_list() -> None:
    assert captions_of("a") == ["a"]
    assert captions_of(7) == ["7"]
    assert captions_of(None) == []
    assert captions_of(["a", "", None, "b"]) == ["a", "b"]
    assert captions_of([{"raw": "a", "tokens": ["a"]}, {"caption": "b"}, {"id": 3}]) == ["a", "b"]
    assert captions_of({"en": "a"}) is None


def test_a_field_within_an_object_is_named_with_a_dot() -> None:
    fields = {"alt": {"en": "a", "long": {"de": "b"}}, "x.y": "c"}
    assert [field_at(fields, path) for path in ("alt.en", "alt.long.de", "x.y")] == ["a", "b", "c"]
    for path in ("alt.fr", "alt.en.x", "z"):
        with pytest.raises(KeyError):
            field_at(fields, path)


def test_the_usual_field_is_the_one_with_the_most_texts() -> None:
    assert usual_field([{"TEXT": "a", "alt": ""}, {"TEXT": "b", "alt": "c"}]) == "TEXT"
    assert usual_field([{"title": "a"}, {"captions": ["b"]}, {"captions": ["c", "d"]}]) == "captions"
    assert usual_field([{"text": "a", "caption": "b"}]) == "text"
    assert usual_field([{"caption": 3, "text": None}, {}]) is None


def test_half_of_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert valid("a \ud83d b") == "a \ufffd b"
    assert valid("\ud83d\ude00") == "\U0001f600"
    assert valid("é") == "é"


def test_tags_a_line_are_one_text_and_settings_of_a_generator_none() -> None:
    tags = divided(["long_hair\nsolo\nsmile\n", "", "open_mouth\nhat\n"])
    assert (tags.captions, tags.by_line) == ([["long_hair, solo, smile"], [""], ["open_mouth, hat"]], False)
    drawn = divided(["a barn\nSteps: 9, Sampler: Euler, Seed: 1", "a mill,\nat dusk\nSteps: 9, CFG scale: 7, Seed: 2"])
    assert (drawn.captions, drawn.by_line) == ([["a barn"], ["a mill, at dusk"]], False)
    assert len(tags.notes) == len(drawn.notes) == 1


def test_lines_that_are_captions_stay_captions() -> None:
    lines = divided(["a barn\nan old barn\n", "a mill\nthe mill\n"])
    assert (lines.by_line, lines.notes) == (True, [])
    assert lines.captions == [["a barn", "an old barn"], ["a mill", "the mill"]]
