"""Random dropping of words: augmentation of texts for small training sets.

The draw of a word is a hash of its text's key and its position, so one key per text is enough whatever its length,
and each rank can draw for its own texts only.
"""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from openalign.data.loading.order import mix

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def drop_words(texts: Sequence[str], probability: float, keys_B: NDArray[np.uint64]) -> list[str]:
    """Drop each word (separated by whitespace) of each text with `probability`, but keep at least one word per text.

    `keys_B` has a random number per text. A text that loses no word keeps its whitespace.
    """
    words = [text.split() for text in texts]
    counts = np.array([len(each) for each in words], dtype=np.int64)
    ends = np.cumsum(counts)
    positions = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
    draws = mix(np.repeat(keys_B, counts) + (positions.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
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
    """In each text that would lose every word, keep the one with the highest draw."""
    some = np.flatnonzero(counts)
    if some.size:
        lost = some[~np.logical_or.reduceat(kept, starts[some])]
        for start, count in zip(starts[lost], counts[lost], strict=True):
            kept[start + int(draws[start : start + count].argmax())] = True
