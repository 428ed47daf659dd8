"""The order of the samples is a function of (seed, step)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.loading.order import BLOCKS_IN_WINDOW, permute, permute_blocks, samples_of_step


@given(count=st.integers(1, 5000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 1000))
def test_an_epoch_holds_every_sample_once(count: int, seed: int, epoch: int) -> None:
    order = permute(np.arange(count, dtype=np.uint64), count, seed, epoch)
    assert np.array_equal(np.sort(order), np.arange(count))


@pytest.mark.slow
@given(count=st.integers(1, 300), batch_size=st.integers(1, 400), seed=st.integers(0, 10))
def test_steps_walk_through_the_epochs_without_a_gap(count: int, batch_size: int, seed: int) -> None:
    steps = 3 * count // batch_size + 1
    walked = np.concatenate([samples_of_step(step, batch_size, count, seed) for step in range(steps)])
    everything = np.arange(count, dtype=np.uint64)
    epochs = [permute(everything, count, seed, epoch) for epoch in range(len(walked) // count + 1)]
    assert np.array_equal(walked, np.concatenate(epochs)[: len(walked)])


@pytest.mark.slow
@given(count=st.integers(1, 3000), block=st.integers(1, 200), batch_size=st.integers(10, 500), seed=st.integers(0, 99))
def test_with_blocks_an_epoch_still_holds_every_sample_once(count: int, block: int, batch_size: int, seed: int) -> None:
    steps = 2 * count // batch_size + 1
    walked = np.concatenate([samples_of_step(step, batch_size, count, seed, block) for step in range(steps)])
    for epoch in range(2):
        assert np.array_equal(np.sort(walked[epoch * count : (epoch + 1) * count]), np.arange(count))


@pytest.mark.slow
@given(count=st.integers(1, 3000), block=st.integers(2, 200), seed=st.integers(0, 99))
def test_any_part_of_a_block_shuffle_is_that_part_of_the_whole(count: int, block: int, seed: int) -> None:
    everything = np.arange(count, dtype=np.uint64)
    part = np.random.default_rng(seed).integers(0, count, 50)
    whole = permute_blocks(everything, count, seed, 3, block)
    assert np.array_equal(permute_blocks(everything[part], count, seed, 3, block), whole[part])


def test_a_window_of_a_block_shuffle_reads_few_long_runs() -> None:
    block, count = 32, 100_000
    window = block * BLOCKS_IN_WINDOW
    for step in range(20):
        rows = samples_of_step(step, window, count, seed=1, block=block)
        runs = 1 + np.count_nonzero(np.diff(np.sort(rows)) > 1)
        assert runs <= BLOCKS_IN_WINDOW + 1  # one block may be parted by the rotation
        assert abs(np.corrcoef(rows, np.arange(window))[0, 1]) < 0.2


def test_epochs_and_seeds_have_their_own_order_of_blocks() -> None:
    everything = np.arange(1000, dtype=np.uint64)
    orders = {permute_blocks(everything, 1000, seed, epoch, 7).tobytes() for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    everything = np.arange(1000, dtype=np.uint64)
    orders = {permute(everything, 1000, seed, epoch).tobytes() for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_neighbours_are_scattered() -> None:
    order = permute(np.arange(20_000, dtype=np.uint64), 20_000, 1, 0)
    assert abs(np.corrcoef(order, np.arange(20_000))[0, 1]) < 0.03
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.03


def test_a_batch_of_the_papers_corpus_needs_no_permutation_in_memory() -> None:
    rows = samples_of_step(1_199_999, 16_384, 1_800_000_000, seed=0)
    assert len(np.unique(rows)) == 16_384
    assert 0 <= rows.min() < 10_000_000
    assert 1_790_000_000 < rows.max() < 1_800_000_000


def test_no_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        samples_of_step(0, 4, 0, seed=0)
