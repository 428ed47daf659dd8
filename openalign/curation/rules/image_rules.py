"""Rules about single images (paper section 3.1)."""

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from openalign.curation.images.classifier import open_classifier, score_images
from openalign.curation.images.settings import ImageSettings
from openalign.curation.images.unsafe import open_unsafe_scorer
from openalign.curation.rules.rule import Columns, Corpus, Rule


def _is_too_long(pairs: ir.Table, image: ImageSettings) -> ir.BooleanValue:
    # A product, not a quotient, so that 900 x 300 is exactly at the threshold on every engine.
    longer, shorter = ibis.greatest(pairs.width, pairs.height), ibis.least(pairs.width, pairs.height)
    return longer >= shorter * image.max_aspect_ratio


def _unsafe_scores(corpus: Corpus, before: tuple[Rule, ...]) -> pa.Table:
    """An image on which the model fails counts as unsafe."""
    score = open_unsafe_scorer(corpus.recipe.unsafe)
    return score_images(corpus.inspected, score, "unsafe", "unsafe_images", corpus.problems, if_failed=1.0)


def _watermark_scores(corpus: Corpus, before: tuple[Rule, ...]) -> pa.Table:
    """An image on which the model fails has no score, so it is not dropped."""
    settings = corpus.recipe.watermark
    score = open_classifier(str(settings.watermark_model), settings.labels, "watermark_model", "watermark_labels")
    return score_images(corpus.inspected, score, "watermark_score", "watermark_model", corpus.problems)


UNREADABLE_IMAGE = Rule(
    name="unreadable_image",
    section="3.1",
    description="The image is missing, truncated or no image.",
    table="image",
    settings=(),
    broken=lambda pairs, image: pairs.problem.notnull(),
    of_image=True,
)

SHORTER_SIDE = Rule(
    name="shorter_side",
    section="3.1",
    description="The shorter side is not greater than {min_shorter_side} pixels.",
    table="image",
    settings=("min_shorter_side",),
    broken=lambda pairs, image: ibis.least(pairs.width, pairs.height) <= image.min_shorter_side,
    of_image=True,
)

ASPECT_RATIO = Rule(
    name="aspect_ratio",
    section="3.1",
    description="The longer side is {max_aspect_ratio:g} times the shorter one or more.",
    table="image",
    settings=("max_aspect_ratio",),
    broken=_is_too_long,
    of_image=True,
)

UNSAFE_IMAGE = Rule(
    name="unsafe_image",
    section="3.1",
    description="A model classifies the image as pornographic, with a score of {unsafe_threshold:g} of 1 or more.",
    table="unsafe",
    settings=("unsafe_images", "unsafe_threshold"),
    broken=lambda pairs, unsafe: pairs.unsafe >= unsafe.unsafe_threshold,
    of_image=True,
    columns=Columns("image", _unsafe_scores),
    model="unsafe_images",
    why_not_run=lambda recipe, has_test_set: (
        None if recipe.unsafe.unsafe_images else "no model that recognises such images was named"
    ),
)

WATERMARK = Rule(
    name="watermark",
    section="not in the paper",
    description="A model finds a watermark in the image, with a score of {watermark_threshold:g} of 1 or more.",
    table="watermark",
    settings=("watermark_model", "watermark_threshold"),
    broken=lambda pairs, watermark: pairs.watermark_score >= watermark.watermark_threshold,
    of_image=True,
    columns=Columns("image", _watermark_scores),
    model="watermark_model",
    why_not_run=lambda recipe, has_test_set: (
        None if recipe.watermark.watermark_model else "no model that recognises watermarks was named"
    ),
)
