"""The paper's rules (Section 3): each a name, its section, a sentence, and an Ibis expression for the pairs it drops.

The expressions read the columns that `relations` and `judge` put beside each pair: `text`, `unigrams`, `rare`,
`images_of_text`, `texts_of_image`, `problem`, `width`, `height`; and those that models and searches add where they are
asked to: `language`, `unsafe`, `test_image`, `similarity`, `earlier_image`. A null (a pair without text has no word
count, an unreadable image no size) breaks nothing: only what could be judged counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from openalign.curation.recipe import TABLES, CurateRecipe

Expression = Callable[[ir.Table, CurateRecipe], ir.BooleanValue]


@dataclass(frozen=True)
class Rule:
    """One reason to drop a pair.

    `sentence` says what is dropped, with the names of settings in braces; `settings` are those that make the threshold;
    `broken` gives a boolean column over the pairs; `of_image` tells the rules that read the image from those that the
    relations alone decide.
    """

    name: str
    section: str
    sentence: str
    settings: tuple[str, ...]
    broken: Expression
    of_image: bool = False

    def threshold(self, recipe: CurateRecipe) -> dict[str, Any]:
        return {name: getattr(getattr(recipe, TABLES[name]), name) for name in self.settings}

    def described(self, recipe: CurateRecipe) -> str:
        return self.sentence.format(**self.threshold(recipe))


def _no_text(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.text.isnull()


def _word_count(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return ~pairs.unigrams.between(recipe.text.min_words, recipe.text.max_words)


def _images_per_text(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.images_of_text > recipe.text.max_images_per_text


def _texts_per_image(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.texts_of_image > recipe.text.max_texts_per_image


def _rare_token(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.rare


def _other_language(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return ~pairs.language.isin(recipe.text.language_codes)


def _unreadable_image(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.problem.notnull()


def _shorter_side(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return ibis.least(pairs.width, pairs.height) <= recipe.image.min_shorter_side


def _aspect_ratio(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    # A product and no quotient, so that 900 x 300 is exactly at the border on every engine.
    longer, shorter = ibis.greatest(pairs.width, pairs.height), ibis.least(pairs.width, pairs.height)
    return longer >= shorter * recipe.image.max_aspect_ratio


def _unsafe_image(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.unsafe >= recipe.unsafe.unsafe_threshold


def _near_duplicate_of_test(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.test_image.notnull()


def _near_duplicate(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.earlier_image.notnull()


def _low_similarity(pairs: ir.Table, recipe: CurateRecipe) -> ir.BooleanValue:
    return pairs.similarity < recipe.similarity.min_similarity


RULES: tuple[Rule, ...] = (
    Rule("no_text", "3", "The image has no alt-text, or an empty one.", (), _no_text),
    Rule(
        "word_count",
        "3.2",
        "The text has fewer than {min_words} or more than {max_words} unigrams.",
        ("min_words", "max_words"),
        _word_count,
    ),
    Rule(
        "images_per_text",
        "3.2",
        "More than {max_images_per_text} distinct images share the text.",
        ("max_images_per_text",),
        _images_per_text,
    ),
    Rule(
        "texts_per_image",
        "3.1",
        "The image has more than {max_texts_per_image} distinct texts.",
        ("max_texts_per_image",),
        _texts_per_image,
    ),
    Rule(
        "rare_token",
        "3.2",
        "A unigram or bigram of the text is not among the {vocabulary:,} most frequent of the raw texts.",
        ("vocabulary",),
        _rare_token,
    ),
    Rule(
        "other_language",
        "not in the paper",
        "The text is guessed to be in another language than those asked for.",
        ("languages",),
        _other_language,
    ),
    Rule(
        "unreadable_image", "3.1", "The image is missing, truncated or no image.", (), _unreadable_image, of_image=True
    ),
    Rule(
        "shorter_side",
        "3.1",
        "The shorter side is not greater than {min_shorter_side} pixels.",
        ("min_shorter_side",),
        _shorter_side,
        of_image=True,
    ),
    Rule(
        "aspect_ratio",
        "3.1",
        "The longer side is {max_aspect_ratio:g} times the shorter one or more.",
        ("max_aspect_ratio",),
        _aspect_ratio,
        of_image=True,
    ),
    Rule(
        "unsafe_image",
        "3.1",
        "A model takes the image for pornographic, by {unsafe_threshold:g} of 1 or more.",
        ("unsafe_images", "unsafe_threshold"),
        _unsafe_image,
        of_image=True,
    ),
    Rule(
        "near_duplicate_of_test",
        "3.1",
        "The image is a near-duplicate of one in a test set (correlation of at least {duplicate_correlation:g}, in its "
        "details {duplicate_detail:g}; where a model judges, a cosine above {duplicate_cosine:g}).",
        (
            *("duplicate_hash_bits", "duplicate_correlation", "duplicate_detail", "duplicate_colour"),
            *("duplicate_model", "duplicate_cosine"),
        ),
        _near_duplicate_of_test,
        of_image=True,
    ),
    Rule(
        "low_similarity",
        "not in the paper",
        "A model finds that the text does not fit the image: their cosine is below {min_similarity}.",
        ("similarity_model", "min_similarity"),
        _low_similarity,
        of_image=True,
    ),
    Rule(
        "near_duplicate",
        "not in the paper",
        "The image is a near-duplicate of an earlier one that all other rules keep.",
        ("drop_near_duplicates",),
        _near_duplicate,
        of_image=True,
    ),
)


def why_not_run(rule: Rule, recipe: CurateRecipe, *, test_set: bool) -> str | None:
    """The reason why `rule` judges nothing in this run; None when it runs."""
    if rule.name == "other_language" and not recipe.text.language_codes:
        return "no language was asked for"
    if rule.name == "unsafe_image" and recipe.unsafe.unsafe_images is None:
        return "no model that recognises such images was named"
    if rule.name == "near_duplicate" and not recipe.duplicates.drop_near_duplicates:
        return "it was not asked for"
    if rule.name == "low_similarity" and recipe.similarity.similarity_model is None:
        return "no model that scores pairs was named"
    if rule.name == "near_duplicate_of_test" and not test_set:
        return "no test set was named"
    return None
