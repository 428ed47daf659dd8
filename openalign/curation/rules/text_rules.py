"""Rules about texts and about how often texts and images occur together (paper sections 3.1 and 3.2)."""

from dataclasses import replace

import ibis.expr.types as ir

from openalign.curation.rules.rule import Columns, Corpus, Rule
from openalign.curation.text.languages import classify_texts


def _languages(corpus: Corpus, before: tuple[Rule, ...]) -> ir.Table:
    texts = corpus.pairs.filter(corpus.pairs.text.notnull()).select("text").distinct()
    return classify_texts(corpus.engine, texts, corpus.problems)


def add_languages(corpus: Corpus) -> Corpus:
    """The corpus with the `language` of every text that passes the text rules, which pairs.parquet names."""
    if "language" in corpus.pairs.columns:
        return corpus
    texts = corpus.pairs.filter(corpus.pairs.text_passes).select("text").distinct()
    languages = classify_texts(corpus.engine, texts, corpus.problems)
    return replace(corpus, pairs=corpus.pairs.left_join(languages, "text").drop("text_right"))


NO_TEXT = Rule(
    name="no_text",
    section="3",
    description="The image has no alt-text, or an empty one.",
    table="text",
    settings=(),
    broken=lambda pairs, text: pairs.text.isnull(),
)

WORD_COUNT = Rule(
    name="word_count",
    section="3.2",
    description="The text has fewer than {min_words} or more than {max_words} unigrams.",
    table="text",
    settings=("min_words", "max_words"),
    broken=lambda pairs, text: ~pairs.unigrams.between(text.min_words, text.max_words),
)

IMAGES_PER_TEXT = Rule(
    name="images_per_text",
    section="3.2",
    description="More than {max_images_per_text} distinct images share the text.",
    table="text",
    settings=("max_images_per_text",),
    broken=lambda pairs, text: pairs.images_of_text > text.max_images_per_text,
)

TEXTS_PER_IMAGE = Rule(
    name="texts_per_image",
    section="3.1",
    description="The image has more than {max_texts_per_image} distinct texts.",
    table="text",
    settings=("max_texts_per_image",),
    broken=lambda pairs, text: pairs.texts_of_image > text.max_texts_per_image,
)

RARE_TOKEN = Rule(
    name="rare_token",
    section="3.2",
    description="A unigram or bigram of the text is not among the {vocabulary:,} most frequent of the raw texts.",
    table="text",
    settings=("vocabulary",),
    broken=lambda pairs, text: pairs.rare,
)


def _may_be_in(languages: ir.StringValue, codes: tuple[str, ...]) -> ir.BooleanValue:
    """Whether one of `codes` is among languages with a space between them."""
    return languages.re_search(f"(^| )({'|'.join(codes)})( |$)")


OTHER_LANGUAGE = Rule(
    name="other_language",
    section="not in the paper",
    description="The text is guessed to be in another language than those asked for.",
    table="text",
    settings=("languages",),
    broken=lambda pairs, text: ~_may_be_in(pairs.languages, text.language_codes),
    columns=Columns("text", _languages),
    why_not_run=lambda recipe, has_test_set: None if recipe.text.language_codes else "no language was asked for",
)
