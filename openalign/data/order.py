"""Which samples make up a step: a pure function of (seed, step), with no permutation held in memory.

An epoch is a keyed permutation of 0 .. count - 1: a Feistel network over the smallest power of four that holds them,
walked on until it lands below `count` (a format-preserving cipher, "cycle walking"). So 1.8 billion pairs are shuffled
anew in every epoch at the cost of a few multiplications a sample, and a run can resume at any step at once.
"""

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 6
_APART_FROM_CROPS = 1 << 192
"""The loader draws crops from the same generator keyed by (seed, step), starting at 0."""


def samples_of_step(step: int, batch_size: int, count: int, seed: int) -> NDArray[np.int64]:
    """The rows, (batch_size,) of 0 .. count - 1, that step `step` (from 0) learns from.

    Steps walk through the epochs without a gap: each epoch holds every row once, in an order of its own, and a batch
    may end one and begin the next.
    """
    if count < 1:
        raise ValueError("there are no samples to draw from")
    first = step * batch_size
    places = np.arange(first, first + batch_size, dtype=np.uint64)
    epochs = places // np.uint64(count)
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        within = epochs == epoch
        rows[within] = permute(places[within] % np.uint64(count), count, seed, int(epoch))
    return rows


def permute(places: NDArray[np.uint64], count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Where a permutation of 0 .. count - 1, chosen by seed and epoch, sends `places`; any subset, any order."""
    half_bits = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
    generator = np.random.Philox(key=[seed, epoch], counter=_APART_FROM_CROPS)
    keys = generator.random_raw(_ROUNDS).astype(np.uint64)
    found = _feistel(places, half_bits, keys)
    while (outside := np.flatnonzero(found >= count)).size:  # less than four walks each on average
        found[outside] = _feistel(found[outside], half_bits, keys)
    return found.astype(np.int64)


def _feistel(values: NDArray[np.uint64], half_bits: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of the integers of 2 * half_bits bits."""
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = values >> half_bits, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << half_bits) | right


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every input bit moves every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
