"""Occurrences -> pairs and texts: everything that is counted over the whole corpus, as Ibis tables out of core.

A pair is a distinct (image, text). The same image with the same text on many pages is one pair, and the page of its
first occurrence is kept. An empty text and none at all are the same: null. Sharing is counted over all pairs, before
any rule.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import cached_map, count_rows
from openalign.curation.engine.text_batches import problems_of_texts
from openalign.curation.text.words import bigrams, in_words, is_unspaced, rare_count, space_batch, unigrams
from openalign.progress import bar

_TEXTS_PER_BATCH = 20_000
_BYTES_OF_CHARACTER = 20  # of a text, that counting its tokens takes: some 80 bytes a token, two tokens a word


def collect_pairs(engine: Engine, occurrences: ir.Table) -> ir.Table:
    """One row per distinct (image, text): those two, `page`, `host`, `occurrence` (its first) and `occurrences`."""
    # Page and host as one value that is never null: engines skip nulls when they take the first.
    origin = ibis.struct({"page": occurrences.page, "host": occurrences.host})
    found = occurrences.group_by("image", text=occurrences.text.nullif("")).agg(
        origin=origin.argmin(occurrences.occurrence),
        occurrence=occurrences.occurrence.min(),
        occurrences=occurrences.count(),
    )
    return engine.materialize(
        "pairs", found.mutate(page=found.origin["page"], host=found.origin["host"]).drop("origin")
    )


def collect_texts(engine: Engine, pairs: ir.Table, vocabulary: int, problems: list[str]) -> ir.Table:
    """One row per distinct text: `text`, `images_of_text`, `unigrams` (their number) and `rare`.

    A line for each text that could not be split into words, and is left as it is, is added to `problems`.
    """
    counted = (
        pairs.filter(pairs.text.notnull()).group_by("text").agg(images_of_text=_.count(), first=_.occurrence.min())
    )
    texts = engine.materialize("distinct_texts", counted.mutate(unspaced=is_unspaced(counted.text)))
    [whole] = engine.fetch(texts.agg(characters=texts.text.length().sum(), unspaced=_.unspaced.any()))
    texts = _with_spaces(engine, texts, problems) if whole["unspaced"] else texts.mutate(spaced=texts.text)
    texts = texts.select("text", "images_of_text", "first", words=in_words(texts.spaced))
    # No text has more unigrams than characters, nor more bigrams: often there is nothing to be counted.
    if 2 * (whole["characters"] or 0) <= vocabulary:
        return texts.select("text", "images_of_text", unigrams=unigrams(texts.words).length(), rare=False)
    texts = engine.materialize("texts_in_words", texts)
    parts = engine.group_count(_BYTES_OF_CHARACTER * whole["characters"])
    found = texts.left_join(_rare_texts(engine, texts, vocabulary, parts), "first")
    number = unigrams(found.words).length()
    return engine.materialize(
        "texts", found.select("text", "images_of_text", unigrams=number, rare=found.first_right.notnull())
    )


def _with_spaces(engine: Engine, texts: ir.Table, problems: list[str]) -> ir.Table:
    """The texts with `spaced`, where words of scripts that put no space between them stand apart."""
    unspaced = texts.filter(texts.unspaced).select("text")
    partitions = engine.partition("texts_without_spaces", unspaced, ["text"], _TEXTS_PER_BATCH)
    rows = count_rows(partitions)
    found = cached_map(engine, "words", space_batch, partitions, description="Splitting into words", rows=rows)
    problems += problems_of_texts(found)
    joined = texts.left_join(engine.read(found), "text").drop("text_right")
    return joined.mutate(spaced=joined.spaced.coalesce(joined.text))


def _rare_texts(engine: Engine, texts: ir.Table, vocabulary: int, parts: int) -> ir.Table:
    """The texts with a token outside the `vocabulary` most frequent, by their `first`. A pair counts once.

    Each text stands for itself by the number of its first occurrence, since tokens carry it along. Tokens are counted
    in `parts`, by their hash.
    """
    split = texts.select("first", "images_of_text", words=unigrams(texts.words))
    listed = split.select("first", "images_of_text", token=split.words.concat(bigrams(split.words)))
    tokens = listed.unnest("token")
    with bar("Counting words", parts) as running:
        counted = []
        for part in range(parts):
            these = tokens if parts == 1 else tokens.filter(tokens.token.hash().abs() % parts == part)
            counts = these.group_by("token").agg(times=_.images_of_text.sum())
            # Most tokens occur once. They are not kept: rare_count does without, and what is not frequent is rare.
            counted.append(engine.materialize(f"tokens_{part}", counts.filter(counts.times > 1)))
            running.advance()
    counts = counted[0] if parts == 1 else ibis.union(*counted)
    least = rare_count(engine, counts, vocabulary)
    rare = tokens.anti_join(counts.filter(counts.times >= least), "token") if least else tokens.limit(0)
    return rare.select("first").distinct()


def count_pairs(engine: Engine, occurrences: ir.Table, vocabulary: int, problems: list[str]) -> ir.Table:
    """`collect_pairs` with the columns of `collect_texts` and `texts_of_image`."""
    with bar("Counting over all pairs", 2) as running:
        pairs = collect_pairs(engine, occurrences)
        running.advance()
        texts = collect_texts(engine, pairs, vocabulary, problems)
        running.advance()
    per_image = pairs.filter(pairs.text.notnull()).group_by("image").agg(texts_of_image=_.count())
    return pairs.left_join(texts, "text").drop("text_right").left_join(per_image, "image").drop("image_right")
