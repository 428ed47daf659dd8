"""The cache of decoded images changes nothing but the time, whatever happens to its files."""

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from openalign.data.images.decode import encode_jpeg
from openalign.data.loading.image_cache import ImageCache
from openalign.data.loading.loader import BatchLoader
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from tests.data.loading.batches import COUNT, SETTINGS, assert_equal, batches


def test_the_cache_changes_nothing_but_the_work(pairs: Pairs, tokenizer: Tokenizer, tmp_path: Path) -> None:
    plain = batches(pairs, tokenizer)
    filled = batches(pairs, tokenizer, cache=tmp_path / "cache", workers=2)
    again = batches(pairs, tokenizer, cache=tmp_path / "cache")
    assert_equal(plain, filled)
    assert_equal(plain, again)
    assert sum(batch.decode_s for batch in plain) > 0
    assert sum(batch.decode_s for batch in again) == 0


def test_a_cache_of_changed_images_is_not_believed(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    batches(open_pairs(folder), tokenizer, cache=tmp_path / "cache")
    (folder / "03.jpg").write_bytes(encode_jpeg(np.zeros((40, 40, 3), np.uint8)))
    changed = open_pairs(folder)
    assert_equal(batches(changed, tokenizer), batches(changed, tokenizer, cache=tmp_path / "cache"))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_half_written_row_of_the_cache_is_written_again(pairs: Pairs, tokenizer: Tokenizer, tmp_path: Path) -> None:
    plain = batches(pairs, tokenizer, cache=tmp_path)
    pixels = next(tmp_path.glob("*px")) / "pixels"
    with pixels.open("r+b") as file:
        file.write(bytes(40 * 32 * 3))
    assert_equal(plain, batches(pairs, tokenizer, cache=tmp_path))
    assert_equal(plain, batches(pairs, tokenizer, cache=tmp_path, workers=1))


@pytest.mark.parametrize("name", ["pixels", "checksums"])
def test_a_changed_byte_anywhere_in_the_cache_is_found_and_written_again(
    pairs: Pairs, tmp_path: Path, name: str
) -> None:
    cache = ImageCache.open(tmp_path, pairs, 8)
    assert cache is not None
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)
    file = next(tmp_path.glob("*px")) / name
    draw = np.random.default_rng(1)
    for _ in range(60):
        for row, image in enumerate(images):
            cache.put(row, image)
        data = bytearray(file.read_bytes())
        position = int(draw.integers(len(data)))
        data[position] ^= 1 << int(draw.integers(8))
        file.write_bytes(data)
        damaged = position * COUNT // len(data)
        assert [row for row in range(COUNT) if cache.get(row) is None] == [damaged]
        cache.put(damaged, images[damaged])
        for row, image in enumerate(images):
            assert np.array_equal(cast(Any, cache.get(row)), image)


@pytest.mark.parametrize("end", [0, 100, 32 * 32 * 3 * 7 + 5])
def test_a_cache_cut_off_or_removed_while_it_is_used_changes_nothing(
    pairs: Pairs, tokenizer: Tokenizer, tmp_path: Path, end: int
) -> None:
    plain = batches(pairs, tokenizer)
    loader = BatchLoader(pairs, tokenizer, SETTINGS, first_step=0, last_step=6, cache=tmp_path / "cache")
    assert_equal(plain, list(loader))
    folder = next((tmp_path / "cache").glob("*px"))
    for file in folder.iterdir():
        os.truncate(file, min(end, file.stat().st_size))
    assert_equal(plain, list(loader))
    for file in folder.iterdir():
        file.unlink()
    fresh = BatchLoader(pairs, tokenizer, SETTINGS, first_step=0, last_step=6)
    fresh._batches._cache = ImageCache(folder, 32)
    assert_equal(plain, list(fresh))


def test_a_disk_without_room_means_no_cache(
    pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openalign.data.loading.image_cache._free_bytes", lambda folder: 1_000)
    assert ImageCache.open(tmp_path / "cache", pairs, 32) is None
    assert "images are decoded again in every epoch" in " ".join(capsys.readouterr().err.split())
