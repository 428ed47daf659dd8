"""Ranks by blocks equal ranks by a sorted list, ties count against the model, and chance is what a shuffle scores."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.errors import OpenAlignError
from openalign.evaluation import ranking
from openalign.evaluation.ranking import chance_median, chance_within, ranks, share_within


def rank_by_sorting(scores_C: list[float], matches: set[int]) -> int:
    """One query at a time: its best match stands behind every stranger that scores as much."""
    best = max(scores_C[candidate] for candidate in matches)
    strangers = [score for candidate, score in enumerate(scores_C) if candidate not in matches]
    return 1 + sum(score >= best for score in strangers)


@st.composite
def problems(draw):
    """Small integer vectors: scores are exact, ties are common."""
    queries, candidates, width = draw(st.integers(1, 6)), draw(st.integers(1, 8)), draw(st.integers(1, 3))
    component = st.integers(-2, 2)
    query_rows = draw(st.lists(st.lists(component, min_size=width, max_size=width), min_size=queries, max_size=queries))
    rows = draw(st.lists(st.lists(component, min_size=width, max_size=width), min_size=candidates, max_size=candidates))
    matches = draw(st.lists(st.sets(st.integers(0, candidates - 1), min_size=1), min_size=queries, max_size=queries))
    return np.array(query_rows, np.float32), np.array(rows, np.float32), matches


@pytest.mark.slow
@given(problems(), st.integers(1, 40))
def test_blocked_ranks_equal_ranks_by_sorting(problem, block_scores):
    queries, candidates, matches = problem
    pairs = np.array([(query, candidate) for query, several in enumerate(matches) for candidate in several])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "BLOCK_SCORES", block_scores)
        found = ranks(queries, candidates, pairs[::-1])
    assert found.tolist() == [
        rank_by_sorting((candidates @ query).tolist(), several) for query, several in zip(queries, matches, strict=True)
    ]


def test_a_model_with_constant_output_gets_the_worst_rank():
    rows = np.tile(np.float32([0.6, 0.8, 0.0]), (1000, 1))
    matches = np.stack([np.arange(1000)] * 2, axis=1)
    assert (ranks(rows, rows, matches) == 1000).all()


def test_an_embedding_that_is_not_finite_is_an_error():
    rows = np.float32([[1.0, 0.0], [np.nan, 0.0]])
    with pytest.raises(OpenAlignError, match="candidate 1 is not finite"):
        ranks(rows[:1], rows, np.array([[0, 0]]))


def test_share_within_counts_ranks_up_to_k():
    assert share_within(np.array([1, 2, 5, 6]), 5) == 0.75


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(5, 40), st.integers(1, 10))
def test_chance_equals_the_hypergeometric_formula(matches, candidates, k):
    exact = [1 - comb(candidates - m, k) / comb(candidates, k) if k <= candidates else 1.0 for m in matches]
    assert chance_within(matches, candidates, k) == pytest.approx(np.mean(exact))


def test_chance_over_a_thousand_single_matches_is_one_in_a_thousand_and_the_middle():
    assert chance_within([1] * 1000, 1000, 1) == pytest.approx(0.001)
    assert chance_within([1] * 1000, 1000, 10) == pytest.approx(0.01)
    assert chance_median([1] * 1000, 1000) == 500


def test_random_embeddings_score_about_chance():
    rng = np.random.default_rng(0)
    queries, candidates = (rng.standard_normal((2000, 8)).astype(np.float32) for _ in range(2))
    found = ranks(queries, candidates[:500], np.stack([np.arange(2000), np.arange(2000) % 500], axis=1))
    assert share_within(found, 10) == pytest.approx(chance_within([1] * 2000, 500, 10), abs=0.01)
