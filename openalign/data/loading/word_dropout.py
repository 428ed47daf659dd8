"""Texts with some of their words dropped, at random: augmentation for small training sets.

Each word's draw is a hash of its text's key and its place, so that texts of any length share a batch of keys and any
rank can draw for its own texts alone.
"""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from openalign.data.loading.order import mix

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def drop_words(texts: Sequence[str], probability: float, keys_B: NDArray[np.uint64]) -> list[str]:
    """Each text without the words (parted by white space) that `probability` took, all but one at the most.

    `keys_B` holds a random number a text. A text that loses nothing stays as it is, white space included.
    """
    words = [text.split() for text in texts]
    counts = np.array([len(each) for each in words], dtype=np.int64)
    ends = np.cumsum(counts)
    places = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
    draws = mix(np.repeat(keys_B, counts) + (places.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
    kept = draws >= np.uint64(min(int(probability * 2.0**64), 2**64 - 1))
    _keep_one(kept, draws, ends - counts, counts)
    lossy = set(np.repeat(np.arange(len(texts)), counts)[~kept].tolist())
    return [
        " ".join(compress(words[i], kept[ends[i] - counts[i] : ends[i]].tolist())) if i in lossy else text
        for i, text in enumerate(texts)
    ]


def _keep_one(
    kept: NDArray[np.bool_], draws: NDArray[np.uint64], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    """Of a text that would lose every word, keep the one with the highest draw."""
    some = np.flatnonzero(counts)
    if some.size:
        lost = some[~np.logical_or.reduceat(kept, starts[some])]
        for start, count in zip(starts[lost], counts[lost], strict=True):
            kept[start + int(draws[start : start + count].argmax())] = True
