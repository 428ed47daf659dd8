import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openalign.errors import OpenAlignError
from openalign.search.query.compose import compose, unit

X, Y, Z = np.eye(3, dtype=np.float32)


def test_terms_are_added_with_their_weights_and_subtracted_with_negative_ones():
    query = compose(np.stack([X, 7 * Y, Z]), [1, 2, -2])
    np.testing.assert_allclose(query, unit(np.array([1, 2, -2])), atol=1e-6)


@pytest.mark.parametrize("scale", [0.001, 1, 1000])
def test_only_the_proportions_of_the_weights_matter(scale):
    np.testing.assert_allclose(
        compose(np.stack([X, Y]), [scale, -3 * scale]), compose(np.stack([X, Y]), [1, -3]), atol=1e-6
    )


def test_a_query_of_an_image_alone_is_its_vector():
    np.testing.assert_allclose(compose(5 * X[None], [1]), X, atol=1e-6)


finite = st.floats(-1, 1, width=32)


@given(arrays(np.float32, (3, 4), elements=finite), st.floats(0.125, 8))
def test_only_directions_matter_and_the_query_has_unit_length(vectors, scale):
    try:
        query = compose(vectors, [1, 2, -2])
    except OpenAlignError:
        return
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    if min(np.linalg.norm(vectors, axis=1)) > 1e-3:
        scaled = np.concatenate([vectors[:2] * scale, vectors[2:]])
        np.testing.assert_allclose(compose(scaled, [1, 2, -2]), query, atol=2e-2)


def test_an_empty_query_is_refused():
    with pytest.raises(OpenAlignError, match="query is empty"):
        compose(np.empty((0, 3), np.float32), [])


@pytest.mark.parametrize("weight", [0.001, 1, 1000])
def test_a_query_that_subtracts_what_it_adds_is_refused(weight):
    with pytest.raises(OpenAlignError, match="cancels itself out"):
        compose(np.stack([X, X]), [weight, -weight])


def test_a_vector_that_is_not_finite_is_refused():
    with pytest.raises(OpenAlignError, match="not finite"):
        compose(np.stack([X, np.nan * Y]), [1, 1])
