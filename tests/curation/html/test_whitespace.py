"""What is kept of a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.curation.html.whitespace import clean_text


@given(st.text(alphabet=st.sampled_from("aé\u0301\u0323\u0344 \u0958\u0f73\n한"), max_size=80))
def test_a_text_without_a_long_run_of_marks_is_its_nfc_with_single_blanks(text: str) -> None:
    longest = 0
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    if longest <= 64:
        assert clean_text(text) == " ".join(unicodedata.normalize("NFC", text).split())


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0323", "\u05b0\u0591", "\U0001e8d0\u0301"])
def test_marks_beyond_64_on_one_letter_are_left_out(marks: str) -> None:
    text = f"a{marks * 100_000}b"
    found = clean_text(text)
    assert found == clean_text(f"a{(marks * 64)[:64]}b")
    assert len(found) <= 66 and found.endswith("b")


def test_text_after_the_marks_is_kept() -> None:
    assert clean_text("a" + "\u0301" * 100 + " ü" + "\u0301" * 100 + " end").split()[2] == "end"
