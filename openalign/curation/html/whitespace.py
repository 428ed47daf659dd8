"""Text as it is kept: Unicode NFC, and one space for each run of white space."""

import re
import unicodedata
from functools import cache

_LONGEST_RUN = 64  # marks on one letter; sorting them, which NFC does, takes quadratic time


def clean_text(text: str) -> str:
    """Return `text` in Unicode NFC, each run of white space one space, none at the ends.

    Of more than 64 marks on one letter the rest is left out.
    """
    # Blanks go after NFC as well as before words are compared: NFC turns some odd blanks into others, never into words.
    if len(text) > _LONGEST_RUN and not text.isascii():
        text = _longer_runs().sub(r"\1", text)
    return " ".join(unicodedata.normalize("NFC", text).split())


@cache
def _longer_runs() -> re.Pattern[str]:
    marks = "".join(filter(unicodedata.combining, map(chr, range(0x300, 0x20000))))
    return re.compile(f"([{marks}]{{{_LONGEST_RUN}}})[{marks}]+")
