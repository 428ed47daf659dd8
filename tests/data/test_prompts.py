"""Settings of image generators below their prompts, and tags in lines of their own."""

import pytest

from openalign.data.prompts import hold_a_tag_a_line, without_settings

SETTINGS = "Steps: 30, Sampler: DPM++ 2M, CFG scale: 7, Seed: 5, Size: 512x512"


@pytest.mark.parametrize(
    "below", [SETTINGS, f"Negative prompt: blurry,\nlow quality\n{SETTINGS}", f"{SETTINGS}\n\nx: 1"]
)
def test_settings_are_cut_off_with_the_negative_prompt(below):
    assert without_settings(f"an old lighthouse,\nstormy sea\n{below}") == "an old lighthouse,\nstormy sea"


@pytest.mark.parametrize(
    "text", ["Steps: 3, then a landing", "a sign\nSteps: 12, mind the gap", "Negative prompt: none"]
)
def test_sentences_about_steps_are_left(text):
    assert without_settings(text) == text


def test_tags_are_words_without_blanks_of_which_some_are_joined():
    assert hold_a_tag_a_line(["long_hair", "solo", "smile", "outdoors"])
    assert not hold_a_tag_a_line(["sofa", "couch", "settee"])
    assert not hold_a_tag_a_line(["a long_hair cat", "a dog on grass"])
    assert not hold_a_tag_a_line(["一只猫", "一只_狗"])
    assert not hold_a_tag_a_line([])
