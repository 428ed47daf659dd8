"""Which samples make up a step: a pure function of (seed, step), with no permutation held in memory.

An epoch is a keyed permutation of 0 .. count - 1: a Feistel network over the smallest power of four that holds them,
walked on until it lands below `count` (a format-preserving cipher, "cycle walking"). So 1.8 billion pairs are shuffled
anew in every epoch at the cost of a few multiplications a sample, and a run can resume at any step at once.

With `block` > 1 the permutation keeps neighbours near each other: whole blocks of consecutive rows are permuted, then
the rows within each window of `BLOCKS_IN_WINDOW` blocks. A batch as large as a window reads whole blocks. What it costs
is mixing: rows that stood together, often of one site, meet in one batch as negatives.
"""

import numpy as np
from numpy.typing import NDArray

BLOCKS_IN_WINDOW = 16
_ROUNDS = 6
_APART_FROM_CROPS = 1 << 192
"""The loader draws crops from the same generator keyed by (seed, step), starting at 0."""
_ROTATION, _BLOCKS, _FIRST_WINDOW = 1, 2, 3
"""Streams of an epoch's generator; 0 is the full shuffle."""


def samples_of_step(step: int, batch_size: int, count: int, seed: int, block: int = 1) -> NDArray[np.int64]:
    """The rows, (batch_size,) of 0 .. count - 1, that step `step` (from 0) learns from.

    Steps walk through the epochs without a gap: each epoch holds every row once, in an order of its own, and a batch
    may end one and begin the next. `block` is the number of consecutive rows kept near each other; 1 shuffles all.
    """
    if count < 1:
        raise ValueError("there are no samples to draw from")
    first = step * batch_size
    places = np.arange(first, first + batch_size, dtype=np.uint64)
    epochs = places // np.uint64(count)
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        within = epochs == epoch
        places_in_epoch = places[within] % np.uint64(count)
        if block == 1:
            rows[within] = permute(places_in_epoch, count, seed, int(epoch))
        else:
            rows[within] = permute_blocks(places_in_epoch, count, seed, int(epoch), block)
    return rows


def permute(places: NDArray[np.uint64], count: int, seed: int, epoch: int, stream: int = 0) -> NDArray[np.int64]:
    """Where a permutation of 0 .. count - 1, chosen by seed, epoch and stream, sends `places`; any subset or order."""
    half_bits = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
    keys = _generator(seed, epoch, stream).random_raw(_ROUNDS).astype(np.uint64)
    found = _feistel(places, half_bits, keys)
    while (outside := np.flatnonzero(found >= count)).size:  # less than four walks each on average
        found[outside] = _feistel(found[outside], half_bits, keys)
    return found.astype(np.int64)


def permute_blocks(places: NDArray[np.uint64], count: int, seed: int, epoch: int, block: int) -> NDArray[np.int64]:
    """Like `permute`, with blocks of consecutive rows in an order of their own and rows shuffled within windows.

    The rows that fill no block come last; the whole is rotated by a random number of rows, so that these are others
    in every epoch.
    """
    shuffled = _shuffle_windows(places.astype(np.int64), count, seed, epoch, block * BLOCKS_IN_WINDOW)
    blocks = count // block
    in_block = shuffled < blocks * block
    order = permute((shuffled[in_block] // block).astype(np.uint64), max(blocks, 1), seed, epoch, _BLOCKS)
    shuffled[in_block] = order * block + shuffled[in_block] % block
    rotation = int(_generator(seed, epoch, _ROTATION).random_raw(1)[0]) % count
    return (shuffled + rotation) % count


def _shuffle_windows(
    places: NDArray[np.int64], count: int, seed: int, epoch: int, window_size: int
) -> NDArray[np.int64]:
    windows = places // window_size
    shuffled = np.empty_like(places)
    for window in np.unique(windows):
        within, first = windows == window, int(window) * window_size
        size = min(window_size, count - first)
        offsets = (places[within] - first).astype(np.uint64)
        shuffled[within] = first + permute(offsets, size, seed, epoch, _FIRST_WINDOW + int(window))
    return shuffled


def _generator(seed: int, epoch: int, stream: int) -> np.random.Philox:
    return np.random.Philox(key=[seed, epoch], counter=_APART_FROM_CROPS + (stream << 128))


def _feistel(values: NDArray[np.uint64], half_bits: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of the integers of 2 * half_bits bits."""
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = values >> half_bits, values & mask
    for key in keys:
        left, right = right, left ^ (mix(right ^ key) & mask)
    return (left << half_bits) | right


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64, a bijection of 64 bits: every input bit moves every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
