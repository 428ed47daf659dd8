"""Unigrams and bigrams of a text, as Ibis expressions that run on any engine.

A unigram is a run of letters, marks and digits (of Unicode 18, whatever the engine's version) in lower case; everything
else separates. Where a script puts no space
between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), ICU's dictionaries segment it first, as in Unicode Annex
29. The paper (section 3.2) does not define a unigram.
"""

from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from openalign.curation.engine.base import Engine
from openalign.curation.engine.text_batches import table_of_texts
from openalign.curation.isolation.records import one_record
from openalign.curation.text.newer_characters import ADDED, LOWERED
from openalign.data.tokenizer.unspaced import UNSPACED_RANGES, has_unspaced, words_of

# The \x{...} form and these classes mean the same to RE2 (DuckDB) and to java.util.regex (Spark).
_UNSPACED = "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in UNSPACED_RANGES) + "]"
_WORD = r"\p{L}\p{M}\p{N}" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ADDED)
# Runs of characters outside words, except single spaces: they are kept, since each match costs time.
_SEPARATORS = rf" *[^{_WORD} ][^{_WORD}]*| {{2,}}"
_SPACED = pa.schema([("text", pa.string()), ("spaced", pa.string()), ("problem", pa.string())])


def is_unspaced(text: ir.StringValue) -> ir.BooleanValue:
    """Whether some of `text` is in a script that puts no space between words."""
    return text.re_search(_UNSPACED)


def space_batch(rows: pa.Table, beside: Path) -> pa.Table:
    """Rows with a column `text` -> `text`, `spaced` (with spaces between its words), `problem` (why this failed)."""
    return table_of_texts(rows["text"], _spaced_text, _SPACED)


@one_record
def _spaced_text(text: str) -> str:
    return spaced(text)


def spaced(text: str) -> str:
    """The text with spaces between its words, where its script puts none."""
    return " ".join(words_of(text)) if has_unspaced(text) else text


def in_words(text: ir.StringValue) -> ir.StringValue:
    """The unigrams of a `spaced` text in order, with one space between them; null for a null text."""
    # Engines disagree on two letters: whether a dot stays on a lowered İ, and a Σ that ends a word.
    lowered = text.replace("İ", "i\u0307").lower().replace("ς", "σ")
    # Few texts have letters that are newer than the engine, and `translate` is slow.
    newer, small = "".join(LOWERED), "".join(LOWERED.values())
    lowered = ibis.cases((lowered.re_search(f"[{newer}]"), lowered.translate(newer, small)), else_=lowered)
    return _trim(lowered.re_replace(_SEPARATORS, " "))


@ibis.udf.scalar.builtin(name="trim")  # type: ignore[untyped-decorator]
def _trim(text: str) -> str:  # type: ignore[empty-body]
    """The engine's own, which trims only spaces: several times as fast as `strip`, which lists every white space."""


def unigrams(words: ir.StringValue) -> ir.ArrayValue:
    """The unigrams of a text that is `in_words`, as an array of strings; null for a null text."""
    return ibis.cases((words == "", ibis.literal([], type="array<string>")), else_=words.split(" "))


def bigrams(words: ir.ArrayValue) -> ir.ArrayValue:
    """Neighbouring unigrams joined by a space, in order, as an array of strings."""
    return ibis.range(0, words.length() - 1).map(lambda index: words[index] + " " + words[index + 1])


def rare_count(engine: Engine, counts: ir.Table, vocabulary: int) -> int:
    """The count below which a token is rare: that of the `vocabulary`-th most frequent one; 0 when none is rare.

    `counts` has one row per token and a column `times`. Tokens that tie with the last one are all kept, so those that
    occur once may be missing: if they were needed, no token would be rare.
    Only the frequencies of frequencies leave the engine, so the number of tokens does not matter.
    """
    spectrum = engine.fetch(counts.group_by("times").agg(tokens=_.count()).order_by(ibis.desc("times")))
    kept = 0
    for row in spectrum:
        kept += row["tokens"]
        if kept >= vocabulary:
            return int(row["times"])
    return 0
