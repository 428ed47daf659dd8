"""Where sources are cut, and what of them goes to another process."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.writer import ShardWriter
from openalign.embedding.partitions import Making, cut, plan, rows_of_partitions

MAKING = Making("model", "fingerprint", thumbnails=True, texts=False)


def named(folder, names):
    """Pairs whose images need not exist."""
    images = pa.chunked_array([pa.array(names, pa.string())])
    return Pairs.of(
        "photos", pa.table({"image": images, "text": pa.nulls(len(names), pa.string())}), FileImages(folder, images)
    )


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abcdef", min_size=1), unique=True, min_size=1, max_size=80), st.integers(1, 20))
def test_partitions_are_all_rows_in_order_and_bounded(tmp_path_factory, names, rows):
    parts = list(cut(named(tmp_path_factory.getbasetemp(), names), rows))
    assert [name for part in parts for name in part.table["image"].to_pylist()] == names
    assert all(0 < len(part) <= 4 * rows for part in parts)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(8, 40))
def test_one_name_more_changes_at_most_what_is_around_it(tmp_path_factory, place, rows):
    names = [f"{number:04}.jpg" for number in range(300)]
    more = [*names[:place], f"{place:04}-a.jpg", *names[place:]]
    before, after = (
        {tuple(part.table["image"].to_pylist()) for part in cut(named(tmp_path_factory.getbasetemp(), given), rows)}
        for given in (names, more)
    )
    assert sum(map(len, after - before)) <= 8 * rows + 1


def test_rows_of_a_partition_grow_with_the_images_by_doubling():
    counts = [1, 1000, 100_000, 10**6, 160 * 10**6]
    sizes = [rows_of_partitions(count) for count in counts]
    assert sizes == [64, 64, 128, 1024, 16_384]
    assert all(512 <= count / size <= 1024 for count, size in zip(counts, sizes, strict=True) if 64 < size < 16_384)


def test_rows_that_cannot_be_told_apart_have_partitions_of_their_own(tmp_path):
    same = named(tmp_path, ["a.jpg"])
    names = [part.name for part in plan([same, same], 8, MAKING)]
    assert len(set(names)) == 2
    assert names == [part.name for part in plan([same, same], 8, MAKING)]


def opened(folder):
    return open_pairs(folder, need_text=False)


@pytest.fixture
def shards(tmp_path):
    """Writes shards of 20 samples each."""

    def shards(count):
        folder = tmp_path / f"shards-{count}"
        folder.mkdir()
        with ShardWriter(folder, samples_per_shard=20) as writer:
            for sample in range(20 * count):
                writer.write(f"{sample:08}", b"not decoded %d" % sample * 100, f"text {sample}", {})
        return folder

    return shards


def test_a_partition_is_small_however_many_shards_there_are(shards):
    few, many = (max(len(pickle.dumps(part)) for part in cut(opened(shards(count)), 8)) for count in (2, 30))
    assert many < 1.3 * few + 1000


def test_a_copy_in_another_process_reads_the_same_images(shards):
    pairs = opened(shards(3))
    start = 0
    for part in cut(pairs, 8):
        copy = pickle.loads(pickle.dumps(part))
        for row in range(len(part)):
            assert copy.image_bytes(row) == pairs.image_bytes(start + row)
            assert copy.row_name(row) == pairs.row_name(start + row)
        start += len(part)
    assert start == len(pairs) == 60


def test_a_shard_that_is_added_leaves_the_partitions_of_the_others(shards, tmp_path):
    folder = shards(4)
    after = [part.name for part in plan([opened(folder)], 4, MAKING)]
    last = max(folder.glob("*.tar")).stem
    for path in folder.glob(f"{last}*"):
        path.rename(tmp_path / path.name)
    before = [part.name for part in plan([opened(folder)], 4, MAKING)]
    assert len(before) > 5
    assert after[: len(before) - 1] == before[:-1]  # only the last partition goes on in the new shard


def test_columns_of_bytes_send_only_the_rows_of_a_partition(tmp_path):
    import pyarrow.parquet as pq

    images = [np.random.default_rng(number).bytes(2000) for number in range(50)]
    pq.write_table(pa.table({"image": pa.array(images, pa.binary()), "text": ["a"] * 50}), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet", need_text=False)
    start = 0
    for part in cut(pairs, 5):
        sent = pickle.dumps(part)
        assert len(sent) < 2000 * len(part) + 4000
        assert [pickle.loads(sent).image_bytes(row) for row in range(len(part))] == images[start : start + len(part)]
        start += len(part)
