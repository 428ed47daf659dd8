"""Scripts that put no space between words: Thai, Lao, Khmer, Burmese, Chinese, Japanese; cut by ICU's dictionaries."""

import re
from collections.abc import Callable, Iterable
from functools import cache

from openalign.extras import require

UNSPACED_RANGES = (
    (0x0E01, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese, with its extensions below
    (0xA9E0, 0xA9FE),
    (0xAA60, 0xAA7F),
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han, with its iteration marks
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
    (0x3041, 0x30FF),  # hiragana, katakana
    (0xFF66, 0xFF9F),
)
"""Code points, both ends inclusive."""
_SIGNS = frozenset("฿๏๚๛၊။၌၍၎၏႞႟꩷꩸꩹។៕៖៘៙៚៛゛゜゠・")
_UNSPACED = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED_RANGES) + "]")


def has_unspaced(text: str) -> bool:
    """Whether some of `text` is in such a script."""
    return _UNSPACED.search(text) is not None


def is_unspaced_letter(character: str) -> bool:
    """Whether it is a letter, mark or digit of such a script, and no currency or punctuation."""
    return has_unspaced(character) and character not in _SIGNS


def unspaced_letters() -> list[int]:
    """The code points of `is_unspaced_letter`, in order."""
    codes = (code for first, last in sorted(UNSPACED_RANGES) for code in range(first, last + 1))
    return [code for code in codes if chr(code) not in _SIGNS]


def class_of(codes: Iterable[int]) -> str:
    """The inside of a regular expression's brackets for these code points, which come in order."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(chr(first) if first == last else f"{chr(first)}-{chr(last)}" for first, last in runs)


def words_of(text: str) -> list[str]:
    """The words of `text` and what stands between them, as in Unicode Annex 29: joined, they are the text.

    Raises:
        MissingExtra: ICU is not installed.
    """
    return list(_word_breaker()(text, "root"))


@cache
def _word_breaker() -> Callable[[str, str], Iterable[str]]:
    require("curate", "splitting Thai, Lao, Khmer, Burmese, Chinese or Japanese into words", ["icu4py"])
    from icu4py.breakers import WordBreaker

    return WordBreaker
