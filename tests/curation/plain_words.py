"""Unigrams in plain Python, to compare with those of the engines."""

import unicodedata

from openalign.curation.text.words import spaced


def split_unigrams(text: str) -> list[str]:
    """The unigrams of any `text`."""
    lowered = spaced(text).lower().replace("ς", "σ")
    return "".join(character if _is_word(character) else " " for character in lowered).split()


def _is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
