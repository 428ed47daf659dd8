"""Images are read out of shards by row, from any thread or worker, and compared with their digests."""

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.files.open_files import OpenFiles
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.index import index_path, read_index
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from tests.data.shards.written import JPEG, write


def test_images_are_chosen_by_row_and_go_to_workers(tmp_path: Path) -> None:
    write(tmp_path)
    tars = sorted(tmp_path.glob("*.tar"))
    images = ShardImages.of(tars, [read_index(tar) for tar in tars])
    images.image_bytes(0)
    chosen = pickle.loads(pickle.dumps(images)).select(np.array([7, 0, 3]))
    assert [chosen.image_bytes(row)[-1] for row in range(3)] == [7, 0, 3]


def test_the_index_keeps_a_digest_of_each_stored_image(tmp_path: Path) -> None:
    write(tmp_path, 1)
    expected = hashlib.blake2b(JPEG + bytes([0]), digest_size=16).digest()
    assert pq.read_table(index_path(tmp_path / "shard-00000.tar"))["image_digest"].to_pylist() == [expected]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.integers(0, 59), min_size=40, max_size=200), most_open=st.integers(1, 3))
def test_many_threads_read_what_was_written_with_few_tars_open(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], most_open: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sixty"
    if not folder.exists():
        write(folder, 60, samples_per_shard=3)
    tars = sorted(folder.glob("*.tar"))
    images = ShardImages.of(tars, [read_index(tar) for tar in tars])
    images._files = OpenFiles(most_open)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(images.image_bytes, rows * 5)) == [JPEG + bytes([row]) for row in rows * 5]


def test_shards_rewritten_under_open_pairs_are_not_read_at_the_old_offsets(tmp_path: Path) -> None:
    write(tmp_path)
    pairs = open_pairs(tmp_path)
    images = [pairs.image_bytes(row) for row in range(3)]
    with ShardWriter(tmp_path, 3) as writer:
        for i in range(8):
            writer.write(f"{i}", JPEG + b"another one" * i, "text", {})
    assert [pairs.image_bytes(row) for row in range(3)] == images  # of a tar that is held open
    for row in range(3, 8):
        with pytest.raises(
            OpenAlignError, match=r"shard-0000\d\.tar was changed or replaced since its folder was opened"
        ):
            pairs.image_bytes(row)
