"""Rules that compare an image with other images, or with its text.

What they compare with needs torch or transformers, which take seconds to import, so it is imported when a rule runs.
"""

import pyarrow as pa
from ibis import _

from openalign.curation.images.inspection import STORED_COLUMNS
from openalign.curation.rules.evaluation import evaluate
from openalign.curation.rules.rule import Columns, Corpus, Rule


def _test_matches(corpus: Corpus, before: tuple[Rule, ...]) -> pa.Table:
    from openalign.curation.duplicates.contamination import match_tests

    recipe = corpus.recipe
    return match_tests(corpus.inspected, corpus.test_sets, recipe.duplicates, recipe.image, corpus.problems)


def _similarities(corpus: Corpus, before: tuple[Rule, ...]) -> pa.Table:
    from openalign.curation.images.embeddings import similarities
    from openalign.model.hub import load

    stored = corpus.pairs.filter(_.text.notnull() & _.stored_in.notnull())
    path = corpus.engine.work / "pairs_to_score.parquet"
    columns = ["occurrence", "image", "text", *STORED_COLUMNS]
    corpus.engine.write(stored.select(columns), path, ["image", "occurrence"])
    model = load(str(corpus.recipe.similarity.similarity_model))
    return similarities(model, path, corpus.inspected[0].parent, corpus.problems)


def _earlier_copies(corpus: Corpus, before: tuple[Rule, ...]) -> pa.Table:
    from openalign.curation.duplicates.kept_images import earlier_copies

    # Only an image that all other rules keep can replace its copies, so that a small one never removes a large one.
    evaluated = evaluate(corpus, before)
    inspected = corpus.engine.read(corpus.inspected)
    return earlier_copies(corpus.engine, evaluated.filter(~evaluated.dropped), inspected, corpus.recipe.duplicates)


NEAR_DUPLICATE_OF_TEST = Rule(
    name="near_duplicate_of_test",
    section="3.1",
    description=(
        "The image is a near-duplicate of one in a test set (correlation of at least {duplicate_correlation:g}, in its "
        "details {duplicate_detail:g}; with a model, a cosine above {duplicate_cosine:g})."
    ),
    table="duplicates",
    settings=(
        *("duplicate_hash_bits", "duplicate_correlation", "duplicate_detail", "duplicate_colour"),
        *("duplicate_model", "duplicate_cosine"),
    ),
    broken=lambda pairs, duplicates: pairs.test_image.notnull(),
    of_image=True,
    columns=Columns("image", _test_matches),
    model="duplicate_model",
    why_not_run=lambda recipe, has_test_set: None if has_test_set else "no test set was named",
)

LOW_SIMILARITY = Rule(
    name="low_similarity",
    section="not in the paper",
    description="The text does not fit the image: a model gives them a cosine below {min_similarity}.",
    table="similarity",
    settings=("similarity_model", "min_similarity"),
    broken=lambda pairs, similarity: pairs.similarity < similarity.min_similarity,
    of_image=True,
    columns=Columns("occurrence", _similarities),
    model="similarity_model",
    why_not_run=lambda recipe, has_test_set: (
        None if recipe.similarity.similarity_model else "no model that scores pairs was named"
    ),
)

NEAR_DUPLICATE = Rule(
    name="near_duplicate",
    section="not in the paper",
    description="The image is a near-duplicate of an earlier one that all other rules keep.",
    table="duplicates",
    settings=("drop_near_duplicates",),
    broken=lambda pairs, duplicates: pairs.earlier_image.notnull(),
    of_image=True,
    columns=Columns("image", _earlier_copies),
    why_not_run=lambda recipe, has_test_set: None if recipe.duplicates.drop_near_duplicates else "it was not asked for",
)
