"""Which samples make up a step: a pure function of (seed, step), with no permutation held in memory.

An epoch is a keyed permutation of 0 .. count - 1: a Feistel network over the smallest power of four that holds them,
applied repeatedly until the result is below `count` (a format-preserving cipher with "cycle walking"). So 1.8 billion
pairs are reshuffled in every epoch at the cost of a few multiplications per sample, and a run can resume at any step
immediately.

With `block` > 1 the permutation keeps neighbours close: blocks of consecutive rows are permuted, then the rows within
each window of `BLOCKS_IN_WINDOW` blocks. A batch as large as a window reads whole blocks. The price is less mixing:
rows that are adjacent in the data, often from one site, become negatives in the same batch.
"""

import numpy as np
from numpy.typing import NDArray

BLOCKS_IN_WINDOW = 16
_ROUNDS = 6
_ORDER_COUNTER = 1 << 192
"""The loader draws crops from a generator with the key (seed, step), starting at counter 0."""
_ROTATION, _BLOCKS, _FIRST_WINDOW = 1, 2, 3
"""Streams of an epoch's generator; 0 is the full shuffle."""


def samples_of_step(step: int, batch_size: int, count: int, seed: int, block: int = 1) -> NDArray[np.int64]:
    """(batch_size,) the rows, out of 0 .. count - 1, of step `step` (from 0).

    Each epoch has every row once, in its own order; a batch may span the end of one epoch and the start of the next.
    `block` is the number of consecutive rows that are kept close; 1 shuffles all.
    """
    if count < 1:
        raise ValueError("there are no samples to draw from")
    first = step * batch_size
    positions = np.arange(first, first + batch_size, dtype=np.uint64)
    epochs = positions // np.uint64(count)
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        within = epochs == epoch
        positions_in_epoch = positions[within] % np.uint64(count)
        if block == 1:
            rows[within] = permute(positions_in_epoch, count, seed, int(epoch))
        else:
            rows[within] = permute_blocks(positions_in_epoch, count, seed, int(epoch), block)
    return rows


def permute(positions: NDArray[np.uint64], count: int, seed: int, epoch: int, stream: int = 0) -> NDArray[np.int64]:
    """Apply the permutation of 0 .. count - 1 with this seed, epoch and stream to any `positions`."""
    half_bits = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
    keys = _generator(seed, epoch, stream).random_raw(_ROUNDS).astype(np.uint64)
    found = _feistel(positions, half_bits, keys)
    while (outside := np.flatnonzero(found >= count)).size:  # fewer than four rounds each on average
        found[outside] = _feistel(found[outside], half_bits, keys)
    return found.astype(np.int64)


def permute_blocks(positions: NDArray[np.uint64], count: int, seed: int, epoch: int, block: int) -> NDArray[np.int64]:
    """Like `permute`, but permute blocks of consecutive rows, and rows within windows of blocks.

    The rows after the last full block come last; everything is rotated by a random number of rows, so that these differ
    from epoch to epoch.
    """
    shuffled = _shuffle_windows(positions.astype(np.int64), count, seed, epoch, block * BLOCKS_IN_WINDOW)
    blocks = count // block
    in_block = shuffled < blocks * block
    order = permute((shuffled[in_block] // block).astype(np.uint64), max(blocks, 1), seed, epoch, _BLOCKS)
    shuffled[in_block] = order * block + shuffled[in_block] % block
    rotation = int(_generator(seed, epoch, _ROTATION).random_raw(1)[0]) % count
    return (shuffled + rotation) % count


def _shuffle_windows(
    positions: NDArray[np.int64], count: int, seed: int, epoch: int, window_size: int
) -> NDArray[np.int64]:
    windows = positions // window_size
    shuffled = np.empty_like(positions)
    for window in np.unique(windows):
        within, first = windows == window, int(window) * window_size
        size = min(window_size, count - first)
        offsets = (positions[within] - first).astype(np.uint64)
        shuffled[within] = first + permute(offsets, size, seed, epoch, _FIRST_WINDOW + int(window))
    return shuffled


def _generator(seed: int, epoch: int, stream: int) -> np.random.Philox:
    return np.random.Philox(key=[seed, epoch], counter=_ORDER_COUNTER + (stream << 128))


def _feistel(values: NDArray[np.uint64], half_bits: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of the integers of 2 * half_bits bits."""
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = values >> half_bits, values & mask
    for key in keys:
        left, right = right, left ^ (mix(right ^ key) & mask)
    return (left << half_bits) | right


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: a bijection on 64 bits in which every input bit affects every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
