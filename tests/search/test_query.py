import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openalign.errors import OpenAlignError
from openalign.search.query.compose import compose, unit

NONE = np.empty((0, 3), np.float32)
X, Y, Z = np.eye(3, dtype=np.float32)


def test_a_text_with_an_image_has_twice_its_weight():
    np.testing.assert_allclose(compose(X, Y[None], NONE), unit(np.array([1, 2, 0])), atol=1e-6)


def test_texts_are_added_and_subtracted_with_the_same_weight():
    np.testing.assert_allclose(compose(X, NONE, Z[None]), unit(np.array([1, 0, -2])), atol=1e-6)
    np.testing.assert_allclose(compose(None, np.stack([X, Y]), Z[None]), unit(np.array([1, 1, -1])), atol=1e-6)


def test_the_text_weight_can_be_chosen():
    np.testing.assert_allclose(compose(X, Y[None], NONE, text_weight=1.0), unit(np.array([1, 1, 0])), atol=1e-6)


def test_a_query_of_an_image_alone_is_its_vector():
    np.testing.assert_allclose(compose(5 * X, NONE, NONE), X, atol=1e-6)


finite = st.floats(-1, 1, width=32)


@given(arrays(np.float32, (3, 4), elements=finite), st.floats(0.125, 8))
def test_only_directions_matter_and_the_query_has_unit_length(vectors, scale):
    image, plus, minus = vectors[0], vectors[1:2], vectors[2:]
    try:
        query = compose(image, plus, minus)
    except OpenAlignError:
        return
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    if min(np.linalg.norm(vectors, axis=1)) > 1e-3:
        np.testing.assert_allclose(compose(image * scale, plus * scale, minus), query, atol=2e-2)


def test_an_empty_query_is_refused():
    with pytest.raises(OpenAlignError, match="query is empty"):
        compose(None, NONE, NONE)


def test_a_query_that_subtracts_what_it_adds_is_refused():
    with pytest.raises(OpenAlignError, match="cancels itself out"):
        compose(None, X[None], X[None])
