"""Unigrams in plain Python, to compare with those of the engines."""

import unicodedata

from openalign.curation.text.newer_characters import ADDED, LOWERED
from openalign.curation.text.words import spaced

_ADDED = {chr(code) for first, last in ADDED for code in range(first, last + 1)}


def split_unigrams(text: str) -> list[str]:
    """The unigrams of any `text`."""
    return split_spaced(spaced(text))


def split_spaced(text: str) -> list[str]:
    """The unigrams of a text whose words stand apart."""
    lowered = text.lower().replace("ς", "σ").translate(str.maketrans(LOWERED))
    return "".join(character if _is_word(character) else " " for character in lowered).split()


def _is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character in _ADDED
