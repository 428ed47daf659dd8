"""Unigrams and bigrams of a text, as Ibis expressions that any engine runs, and in plain Python.

A unigram is a run of letters, marks and digits in lower case; everything else separates. Scripts that put no space
between words would make whole sentences one unigram, so each Han ideograph and each hiragana counts as one by itself
(katakana and hangul runs stay whole: they are mostly one word). Thai, Lao, Khmer and Burmese are not split further.
The paper (Section 3.2) does not say what it calls a unigram.
"""

import unicodedata

import ibis
import ibis.expr.types as ir
from ibis import _

# Han with its iteration marks and closing marks, hiragana, and the Han extensions beyond the first plane.
_SINGLE_RANGES = (
    (0x3005, 0x3007),
    (0x3041, 0x309F),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
# The \x{...} form and these classes mean the same to RE2 (DuckDB) and to java.util.regex (Spark).
_SINGLE = "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in _SINGLE_RANGES) + "]"
_SEPARATORS = r"[^\p{L}\p{M}\p{N}]+"


def unigrams(text: ir.StringValue) -> ir.ArrayValue:
    """The unigrams of `text` in order, as an array of strings; null for a null text."""
    # Engines disagree on two letters: whether a dot stays on a lowered İ, and a Σ that ends a word.
    lowered = text.replace("İ", "i\u0307").lower().replace("ς", "σ")
    # Character by character only where it matters: back-references are written differently by different engines.
    apart = (
        lowered.split("").map(lambda one: one.re_search(_SINGLE).ifelse(ibis.literal(" ") + one + " ", one)).join("")
    )
    spaced = lowered.re_search(_SINGLE).ifelse(apart, lowered).re_replace(_SEPARATORS, " ").strip()
    return ibis.cases((spaced == "", ibis.literal([], type="array<string>")), else_=spaced.split(" "))


def bigrams(words: ir.ArrayValue) -> ir.ArrayValue:
    """Neighbouring unigrams joined by a space, in order, as an array of strings."""
    return ibis.range(0, words.length() - 1).map(lambda place: words[place] + " " + words[place + 1])


def split_unigrams(text: str) -> list[str]:
    """The unigrams of `text`, in Python: the definition above for those who hold no table."""
    pieces: list[str] = []
    inside = False
    for character in text.lower().replace("ς", "σ"):
        code = ord(character)
        if any(first <= code <= last for first, last in _SINGLE_RANGES) and _is_word(character):
            pieces.append(character)
            inside = False
        elif not _is_word(character):
            inside = False
        elif inside:
            pieces[-1] += character
        else:
            pieces.append(character)
            inside = True
    return pieces


def _is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def rare_count(counts: ir.Table, vocabulary: int) -> int:
    """The count below which a token is rare: that of the `vocabulary`-th most frequent one; 0 when none is rare.

    `counts` has one row a token and a column `times`. Tokens with as many occurrences as the last one are all kept.
    Only the frequencies of frequencies leave the engine, so this holds for any number of tokens.
    """
    spectrum = counts.group_by("times").agg(tokens=_.count()).to_pyarrow().sort_by([("times", "descending")])
    kept = 0
    for times, tokens in zip(spectrum["times"].to_pylist(), spectrum["tokens"].to_pylist(), strict=True):
        kept += tokens
        if kept >= vocabulary:
            return int(times)
    return 0
