"""Batches depend on (seed, step) alone: not on workers, ranks, the cache, or where a run was taken up again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from openalign.data.image_cache import ImageCache
from openalign.data.images import decode, encode_jpeg, resize
from openalign.data.loader import Batch, BatchLoader, LoaderSettings, crops_of_step
from openalign.data.order import samples_of_step
from openalign.data.pairs import Pairs, open_pairs
from openalign.data.tokenizer import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError

COUNT = 23
SETTINGS = LoaderSettings(batch_size=8, seed=5, image_size=24, resize_size=32, workers=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(COUNT):
        colours = np.random.default_rng(i).integers(0, 255, (3, 4, 3), dtype=np.uint8)
        (folder / f"{i:02d}.jpg").write_bytes(encode_jpeg(resize(colours, 60, 50 + i)))
        (folder / f"{i:02d}.txt").write_text(f"picture {'long ' * (i % 4)}number {i}")
    return folder


@pytest.fixture
def pairs(folder: Path) -> Pairs:
    return open_pairs(folder)


@pytest.fixture
def tokenizer(pairs: Pairs, tmp_path: Path) -> Tokenizer:
    return Tokenizer.load(train_tokenizer(pairs.texts(), tmp_path / "tokenizer.json", 200))


def batches(
    pairs: Pairs, tokenizer: Tokenizer, first: int = 0, last: int = 6, cache: Path | None = None, **changes: int
) -> list[Batch]:
    ranks = {name: changes.pop(name) for name in ("rank", "world_size") if name in changes}
    settings = replace(SETTINGS, **changes)
    return list(BatchLoader(pairs, tokenizer, settings, first_step=first, last_step=last, cache=cache, **ranks))


def assert_equal(some: Sequence[Batch], others: Sequence[Batch]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.step == other.step
        assert torch.equal(one.images_BHWC, other.images_BHWC)
        assert torch.equal(one.ids_BT, other.ids_BT)
        assert torch.equal(one.mask_BT, other.mask_BT)
        assert np.array_equal(one.rows_B, other.rows_B)
        assert one.problems == other.problems


def test_a_batch_is_what_the_order_the_crops_and_the_tokenizer_say(pairs: Pairs, tokenizer: Tokenizer) -> None:
    batch = batches(pairs, tokenizer)[3]
    assert batch.images_BHWC.shape == (8, 24, 24, 3)
    assert batch.images_BHWC.dtype == torch.uint8
    assert np.array_equal(batch.rows_B, samples_of_step(3, 8, COUNT, 5))
    ids, mask = tokenizer([pairs.texts()[row] for row in batch.rows_B])
    assert np.array_equal(batch.ids_BT, ids)
    assert np.array_equal(batch.mask_BT, mask)
    for place, (row, top, left, mirror) in enumerate(zip(batch.rows_B, *crops_of_step(3, SETTINGS), strict=True)):
        whole = resize(decode(pairs.image_bytes(row), min_side=32), 32, 32)
        crop = whole[top : top + 24, left : left + 24]
        assert np.array_equal(batch.images_BHWC[place], crop[:, ::-1] if mirror else crop)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(pairs: Pairs, tokenizer: Tokenizer, workers: int) -> None:
    assert_equal(batches(pairs, tokenizer), batches(pairs, tokenizer, workers=workers))


def test_a_run_taken_up_again_goes_on_the_same(pairs: Pairs, tokenizer: Tokenizer) -> None:
    assert_equal(batches(pairs, tokenizer)[4:], batches(pairs, tokenizer, first=4))


def test_ranks_share_the_batch_of_one(pairs: Pairs, tokenizer: Tokenizer) -> None:
    shares = [batches(pairs, tokenizer, rank=rank, world_size=2) for rank in range(2)]
    for whole, *parts in zip(batches(pairs, tokenizer), *shares, strict=True):
        assert torch.equal(whole.images_BHWC, torch.cat([part.images_BHWC for part in parts]))
        assert np.array_equal(whole.rows_B, np.concatenate([part.rows_B for part in parts]))


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


def test_a_disk_without_room_means_no_cache(
    pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openalign.data.image_cache._free_bytes", lambda folder: 1_000)
    assert ImageCache.open(tmp_path / "cache", pairs, 32) is None
    assert "they are decoded anew in every epoch" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named_and_the_next_pair_takes_its_place(
    folder: Path, tokenizer: Tokenizer, workers: int
) -> None:
    broken = folder / "07.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    pairs = open_pairs(folder)
    met = [batch for batch in batches(pairs, tokenizer, workers=workers) if batch.problems]
    assert met
    for batch in met:
        wanted = samples_of_step(batch.step, 8, COUNT, 5)
        assert batch.problems == [f"{folder} row 8 (07.jpg): truncated JPEG; {folder} row 9 (08.jpg) takes its place"]
        assert np.array_equal(batch.rows_B, np.where(wanted == 7, 8, wanted))
        assert np.array_equal(batch.ids_BT, tokenizer(pairs.texts(batch.rows_B))[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_without_one_readable_image_the_run_ends_with_a_sentence(
    folder: Path, tokenizer: Tokenizer, workers: int
) -> None:
    for image in folder.glob("*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(
        OpenAlignError, match=r"of 23 images one after the other none can be read; .*empty file"
    ) as error:
        batches(open_pairs(folder), tokenizer, workers=workers)
    assert "\n" not in str(error.value)


def test_crops_lie_within_the_image_and_reach_its_edges() -> None:
    tops, lefts, mirrored = crops_of_step(0, replace(SETTINGS, batch_size=1000))
    assert (tops.min(), tops.max(), lefts.min(), lefts.max()) == (0, 8, 0, 8)
    assert 400 < mirrored.sum() < 600
    tops, lefts, mirrored = crops_of_step(0, replace(SETTINGS, crop=False, flip=False))
    assert set(tops) == set(lefts) == {4}
    assert not mirrored.any()


def test_the_global_random_state_is_left_alone(pairs: Pairs, tokenizer: Tokenizer) -> None:
    before = torch.get_rng_state()
    batches(pairs, tokenizer, workers=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_impossible_settings_are_sentences(pairs: Pairs, tokenizer: Tokenizer) -> None:
    with pytest.raises(OpenAlignError, match="image_size 40 is larger than resize_size 32"):
        replace(SETTINGS, image_size=40)
    with pytest.raises(OpenAlignError, match="batch_size 8 cannot be shared evenly by 3 processes"):
        batches(pairs, tokenizer, world_size=3)
    with pytest.raises(OpenAlignError, match="holds no pairs"):
        batches(pairs.select([]), tokenizer)
