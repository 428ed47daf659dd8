"""The paper's rules (section 3) and some of ours, in the order in which reports name them.

Another rule is one more entry here: a `Rule` of its own, with the columns it needs, placed before `NEAR_DUPLICATE`,
which reads the result of all others.
"""

from openalign.curation.recipe import CurateRecipe
from openalign.curation.rules.comparison_rules import LOW_SIMILARITY, NEAR_DUPLICATE, NEAR_DUPLICATE_OF_TEST
from openalign.curation.rules.image_rules import ASPECT_RATIO, SHORTER_SIDE, UNREADABLE_IMAGE, UNSAFE_IMAGE, WATERMARK
from openalign.curation.rules.rule import Rule
from openalign.curation.rules.text_rules import (
    IMAGES_PER_TEXT,
    NO_TEXT,
    OTHER_LANGUAGE,
    RARE_TOKEN,
    TEXTS_PER_IMAGE,
    WORD_COUNT,
)

RULES: tuple[Rule, ...] = (
    NO_TEXT,
    WORD_COUNT,
    IMAGES_PER_TEXT,
    TEXTS_PER_IMAGE,
    RARE_TOKEN,
    OTHER_LANGUAGE,
    UNREADABLE_IMAGE,
    SHORTER_SIDE,
    ASPECT_RATIO,
    UNSAFE_IMAGE,
    WATERMARK,
    NEAR_DUPLICATE_OF_TEST,
    LOW_SIMILARITY,
    NEAR_DUPLICATE,
)


def rules_that_run(recipe: CurateRecipe, has_test_set: bool) -> tuple[Rule, ...]:
    """The rules that this recipe turns on."""
    return tuple(rule for rule in RULES if rule.why_not_run(recipe, has_test_set) is None)
