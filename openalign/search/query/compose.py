"""Composed queries: a weighted sum of images and texts, as one unit vector.

Shapes: D width of the embeddings, N terms of the query.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError

Vectors = NDArray[np.float32]

_NOTHING_LEFT = 5e-5
"""Shortest sum, relative to the heaviest term, that still has a direction in float32."""


def compose(vectors_ND: Vectors, weights: Sequence[float]) -> Vectors:
    """The unit vector (D,) of the sum of `weights` times the terms, each brought to unit length first.

    A negative weight takes its term away. Only the proportions of the weights matter.

    Raises:
        OpenAlignError: the query is empty, its terms cancel each other out, or a vector is not finite.
    """
    if not len(vectors_ND):
        raise OpenAlignError("The query is empty: give a text or an image.")
    weights_N = np.asarray(weights, dtype=np.float64)
    query_D: Vectors = ((weights_N / np.abs(weights_N).max()) @ unit(vectors_ND)).astype(np.float32)
    if not np.isfinite(query_D).all():
        raise OpenAlignError("The vector of the query is not finite: the model fails on its image or a text.")
    if np.linalg.norm(query_D) < _NOTHING_LEFT:
        raise OpenAlignError("The query cancels itself out: the same thing is added and subtracted.")
    return unit(query_D)


def unit(vectors: Vectors) -> Vectors:
    """`vectors` (..., D) with every row scaled to unit length; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled
