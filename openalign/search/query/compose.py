"""Composed queries: an image, texts to add and texts to subtract, as one unit vector.

Shapes: D width of the embeddings, P texts added, M texts subtracted.
"""

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError

Vectors = NDArray[np.float32]

TEXT_WEIGHT = 2.0
"""Weight of a text relative to the image: the scale that the paper found best (section 6)."""
_NOTHING_LEFT = 1e-4


def compose(
    image_D: Vectors | None, plus_PD: Vectors, minus_MD: Vectors, *, text_weight: float = TEXT_WEIGHT
) -> Vectors:
    """The unit vector (D,) of image + `text_weight` * (sum of plus - sum of minus).

    Every part is normalized first. Without an image all texts have the same weight.

    Raises:
        OpenAlignError: the query is empty, its parts cancel each other out, or a vector is not finite.
    """
    if image_D is None and not len(plus_PD) and not len(minus_MD):
        raise OpenAlignError("The query is empty: give a text or an image.")
    query_D = text_weight * (unit(plus_PD).sum(axis=0) - unit(minus_MD).sum(axis=0))
    if image_D is not None:
        query_D = query_D + unit(image_D)
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
