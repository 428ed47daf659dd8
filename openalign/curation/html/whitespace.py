"""Normalised text: Unicode NFC, and one space for each run of white space."""

import re
import unicodedata
from functools import cache

_LONGEST_RUN = 64  # marks on one letter; sorting them, which NFC does, takes quadratic time


def clean_text(text: str) -> str:
    """Return `text` in Unicode NFC, with each run of white space as one space, and none at the ends.

    Combining marks after the 64th on one letter are dropped.
    """
    # Split after NFC, which turns some kinds of white space into others, but never into letters.
    if len(text) > _LONGEST_RUN and not text.isascii():
        text = _longer_runs().sub(r"\1", text)
    return " ".join(unicodedata.normalize("NFC", text).split())


@cache
def _longer_runs() -> re.Pattern[str]:
    marks = "".join(filter(unicodedata.combining, map(chr, range(0x300, 0x20000))))
    return re.compile(f"([{marks}]{{{_LONGEST_RUN}}})[{marks}]+")
