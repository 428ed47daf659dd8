"""Composed queries: an image, texts to add and texts to take away, as one unit vector.

Shapes: D width of the embeddings, P texts added, M texts taken away.
"""

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError

Vectors = NDArray[np.float32]

TEXT_WEIGHT = 2.0
"""A text counts twice as much as the image beside it: the scale the paper found best (section 6)."""
_NOTHING_LEFT = 1e-4


def compose(
    image_D: Vectors | None, plus_PD: Vectors, minus_MD: Vectors, *, text_weight: float = TEXT_WEIGHT
) -> Vectors:
    """The unit vector (D,) of image + `text_weight` * (sum of plus - sum of minus).

    Every part is brought to unit length first, so that only the weights decide. Without an image all texts weigh
    the same. Raises OpenAlignError when nothing is asked for, when the parts cancel each other out, or when the model
    gave a part that is not finite.
    """
    if image_D is None and not len(plus_PD) and not len(minus_MD):
        raise OpenAlignError("The query is empty: give a text, an image, or a text to add or take away.")
    query_D = text_weight * (unit(plus_PD).sum(axis=0) - unit(minus_MD).sum(axis=0))
    if image_D is not None:
        query_D = query_D + unit(image_D)
    if not np.isfinite(query_D).all():
        raise OpenAlignError("The query has no finite vector: the model fails on its image or on one of its texts.")
    if np.linalg.norm(query_D) < _NOTHING_LEFT:
        raise OpenAlignError("The query cancels itself out: the same thing is added and taken away.")
    return unit(query_D)


def unit(vectors: Vectors) -> Vectors:
    """`vectors` (..., D) with every row brought to unit length; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled
