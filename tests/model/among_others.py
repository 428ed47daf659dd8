"""That an embedding is the same alone and among others, whatever these are: for models of every kind."""

from typing import Any

import numpy as np

TOLERANCE = 1e-5
WORDS = ["a", "red", "apple", "two", "cats", "in", "the", "snow", "dog", "quick", "brown", "foxes"]
TEXTS = [" ".join(WORDS[(number + place) % len(WORDS)] for place in range(1 + number % 15)) for number in range(32)]
"""From one word to more word pieces than any of the models keeps; a batch is padded to the longest."""
SHOWN = (0, 1, 9, 31)
"""Those that are embedded alone as well."""


def images() -> list[Any]:
    """Noise beside black, white and one colour, in several shapes."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (40 + 3 * n, 90 - 2 * n, 3), dtype=np.uint8) for n in range(29)]
    return [*noise, *(np.full((50, 60, 3), colour, np.uint8) for colour in (0, 255, (200, 30, 30)))]


def assert_same_image_vectors(model: Any) -> None:
    pictures = images()
    together_ND = model.embed_images(pictures)
    assert_same(together_ND, [model.embed_images([pictures[number]])[0] for number in SHOWN])


def assert_same_text_vectors(model: Any) -> None:
    together_ND = model.embed_texts(TEXTS)
    assert len({vector.tobytes() for vector in together_ND}) > 12  # or the same vectors would say nothing
    assert_same(together_ND, [model.embed_texts([TEXTS[number]])[0] for number in SHOWN])


def assert_same(together_ND: Any, alone: list[Any]) -> None:
    for number, vector in zip(SHOWN, alone, strict=True):
        np.testing.assert_allclose(vector, together_ND[number], atol=TOLERANCE, rtol=0)
