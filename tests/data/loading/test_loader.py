"""Batches depend on (seed, step) alone: not on workers, ranks, the cache, or where a run was resumed."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from openalign.data.images.decode import decode, encode_jpeg, resize
from openalign.data.left_out import counted
from openalign.data.loading.draws import crops_of_step, word_keys_of_step
from openalign.data.loading.loader import Batch
from openalign.data.loading.order import samples_of_step
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs, ids_of
from openalign.data.shards.index import read_index
from openalign.data.shards.writer import ShardWriter
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from tests.data.loading.batches import COUNT, SETTINGS, assert_equal, batches


def test_a_batch_follows_from_the_order_the_crops_and_the_tokenizer(pairs: Pairs, tokenizer: Tokenizer) -> None:
    batch = batches(pairs, tokenizer)[3]
    assert batch.images_BHWC.shape == (8, 24, 24, 3)
    assert batch.images_BHWC.dtype == torch.uint8
    assert np.array_equal(batch.rows_B, samples_of_step(3, 8, COUNT, 5))
    ids, mask = tokenizer([pairs.texts()[row] for row in batch.rows_B])
    assert np.array_equal(batch.ids_BT, ids)
    assert np.array_equal(batch.mask_BT, mask)
    assert_cropped(batch, pairs, SETTINGS)


def test_crops_of_any_scale_are_brought_to_one_size(pairs: Pairs, tokenizer: Tokenizer) -> None:
    batch = batches(pairs, tokenizer, crop_scale=0.3)[3]
    assert batch.images_BHWC.shape == (8, 24, 24, 3)
    assert_cropped(batch, pairs, replace(SETTINGS, crop_scale=0.3))


def assert_cropped(batch: Batch, pairs: Pairs, settings: LoaderSettings) -> None:
    boxes_B4, mirrored_B = crops_of_step(batch.step, settings)
    for i, (row, (top, left, height, width)) in enumerate(zip(batch.rows_B, boxes_B4, strict=True)):
        whole = resize(decode(pairs.image_bytes(row), min_side=32), 32, 32)
        crop = resize(whole[top : top + height, left : left + width], 24, 24)
        assert np.array_equal(batch.images_BHWC[i], crop[:, ::-1] if mirrored_B[i] else crop)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(pairs: Pairs, tokenizer: Tokenizer, workers: int) -> None:
    assert_equal(batches(pairs, tokenizer), batches(pairs, tokenizer, workers=workers))


def test_a_resumed_run_gets_the_same_batches(pairs: Pairs, tokenizer: Tokenizer) -> None:
    assert_equal(batches(pairs, tokenizer)[4:], batches(pairs, tokenizer, first=4))


@pytest.mark.parametrize("changes", [{}, {"word_dropout": 0.5, "shuffle_block": 4}])
def test_ranks_share_the_batch_of_one(pairs: Pairs, tokenizer: Tokenizer, changes: dict[str, Any]) -> None:
    shares = [batches(pairs, tokenizer, rank=rank, world_size=2, **changes) for rank in range(2)]
    for whole, *parts in zip(batches(pairs, tokenizer, **changes), *shares, strict=True):
        assert torch.equal(whole.images_BHWC, torch.cat([part.images_BHWC for part in parts]))
        assert np.array_equal(whole.rows_B, np.concatenate([part.rows_B for part in parts]))
        for name in ("image_ids_B", "text_ids_B"):
            assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
        texts = [row[mask.bool()].tolist() for row, mask in zip(whole.ids_BT, whole.mask_BT, strict=True)]
        parts_texts = [
            row[mask.bool()].tolist() for part in parts for row, mask in zip(part.ids_BT, part.mask_BT, strict=True)
        ]
        assert texts == parts_texts


@pytest.mark.slow
def test_dropped_words_change_with_the_step_and_nothing_else_does(pairs: Pairs, tokenizer: Tokenizer) -> None:
    plain, dropped = batches(pairs, tokenizer), batches(pairs, tokenizer, word_dropout=0.5)
    for one, other in zip(plain, dropped, strict=True):
        assert torch.equal(one.images_BHWC, other.images_BHWC)
        assert torch.equal(one.text_ids_B, other.text_ids_B)
        assert other.mask_BT.sum() < one.mask_BT.sum()
        assert (other.mask_BT.sum(1) > 2).all()
    assert_equal(dropped, batches(pairs, tokenizer, word_dropout=0.5, workers=2))
    assert_equal(dropped[4:], batches(pairs, tokenizer, first=4, word_dropout=0.5))
    keys = [word_keys_of_step(step, SETTINGS).tobytes() for step in range(9)]
    assert len(set(keys)) == 9


def test_equal_images_and_equal_texts_have_equal_ids(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("file,text\n" + "".join(f"images/0{i % 4}.jpg,text {i % 3}\n" for i in range(8)))
    batch = batches(open_pairs(table), tokenizer, last=1)[0]
    order = np.argsort(batch.rows_B)
    images, texts = batch.image_ids_B.numpy()[order], batch.text_ids_B.numpy()[order]
    assert images.dtype == texts.dtype == np.int64
    assert np.array_equal(images[:, None] == images, np.arange(8)[:, None] % 4 == np.arange(8) % 4)
    assert np.array_equal(texts[:, None] == texts, np.arange(8)[:, None] % 3 == np.arange(8) % 3)


def test_images_of_shards_are_equal_where_their_checksums_are(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with ShardWriter(tmp_path / "with") as with_checksums, ShardWriter(tmp_path / "without") as without:
        for i in range(8):
            image = encode_jpeg(np.full((40, 40, 3), i // 2, np.uint8))
            metadata = {"image": f"http://a.test/{i // 4}"}
            with_checksums.write(f"{i}", image, f"text {i}", metadata | {"sha256": hashlib.sha256(image).hexdigest()})
            without.write(f"{i}", image, f"text {i}", metadata)
    rows = np.arange(8)
    for name, shared_by in (("with", 2), ("without", 4)):
        ids = open_pairs(tmp_path / name).image_ids(rows)
        assert np.array_equal(ids[:, None] == ids, rows[:, None] // shared_by == rows // shared_by)


def test_ids_are_the_same_in_every_process() -> None:
    assert ids_of(["a red apple", ""]).tolist() == [8200019768709763039, -5426141060434712860]


def test_the_seconds_of_a_batch_include_those_of_its_parts(pairs: Pairs, tokenizer: Tokenizer) -> None:
    assert all(batch.build_s > batch.disk_s + batch.decode_s > 0 for batch in batches(pairs, tokenizer))


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
def test_without_any_readable_image_the_run_ends_with_an_error(
    folder: Path, tokenizer: Tokenizer, workers: int
) -> None:
    for image in folder.glob("*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(OpenAlignError, match=r"23 consecutive images cannot be read; the first: .*empty file") as error:
        batches(open_pairs(folder), tokenizer, workers=workers)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_past_the_end_of_a_truncated_shard_are_counted_and_the_others_drawn(
    tmp_path: Path, tokenizer: Tokenizer, workers: int
) -> None:
    with ShardWriter(tmp_path / "shards", samples_per_shard=6) as writer:
        for i in range(12):
            writer.write(
                f"{i}", encode_jpeg(np.full((40, 40, 3), 20 * i, np.uint8)), f"text {i}", {"image": f"{i}.jpg"}
            )
    tar = tmp_path / "shards" / "shard-00000.tar"
    offsets = read_index(tar)["image_offset"].to_pylist()
    tar.write_bytes(tar.read_bytes()[: offsets[4] + 10])
    left = open_pairs(tmp_path / "shards")
    assert counted(left.problems) == {"samples lost where a file is cut off": 2}
    assert left.problems == (f"{tar} is cut off after 4 of its 6 samples, which are used: fetch it again",)
    assert left.texts() == [f"text {i}" for i in range(12) if i not in (4, 5)]
    met = batches(left, tokenizer, workers=workers)
    assert not any(batch.problems for batch in met)


def test_an_image_damaged_in_the_middle_of_a_shard_is_named_and_replaced(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with ShardWriter(tmp_path / "shards") as writer:
        for i in range(9):
            writer.write(
                f"{i}", encode_jpeg(np.full((40, 40, 3), 20 * i, np.uint8)), f"text {i}", {"image": f"{i}.jpg"}
            )
    tar = tmp_path / "shards" / "shard-00000.tar"
    with tar.open("r+b") as file:
        file.seek(read_index(tar)["image_offset"].to_pylist()[4])
        file.write(bytes(100))
    pairs = open_pairs(tmp_path / "shards")
    met = batches(pairs, tokenizer)
    reported = {problem for batch in met for problem in batch.problems}
    assert len(reported) == 1
    assert reported.pop().startswith(f"{pairs.row_name(4)}: ")
    assert all(4 not in batch.rows_B for batch in met)


@pytest.mark.parametrize("workers", [0, 1])
def test_some_rows_of_shards_are_checked_and_a_changed_image_is_replaced(
    tmp_path: Path, tokenizer: Tokenizer, workers: int
) -> None:
    jpegs = [encode_jpeg(np.full((40, 40, 3), 10 * i, np.uint8)).ljust(700, b"\0") for i in range(18)]
    with ShardWriter(tmp_path / "shards") as writer:
        for i, jpeg in enumerate(jpegs):
            writer.write(f"{i}", jpeg, f"text {i}", {"image": f"{i}.jpg"})
    tar = tmp_path / "shards" / "shard-00000.tar"
    offsets = read_index(tar)["image_offset"].to_pylist()
    with tar.open("r+b") as file:
        for row in (3, 16):  # each now another image that is whole; of rows 0 to 17, 0 and 16 are checked
            file.seek(offsets[row])
            file.write(jpegs[0])
    pairs = open_pairs(tmp_path / "shards")
    met = batches(pairs, tokenizer, workers=workers)
    [reported] = {problem for batch in met for problem in batch.problems}
    assert reported.startswith(f"{pairs.row_name(16)}: {tar} holds other bytes at {offsets[16]:,} than were written")
    assert reported.endswith(f"; {pairs.row_name(17)} takes its place")
    assert all(16 not in batch.rows_B for batch in met)
    assert any(3 in batch.rows_B for batch in met)
    with pytest.raises(OpenAlignError, match="holds other bytes"):
        pairs.image_bytes(3)


def test_the_global_random_state_is_left_alone(pairs: Pairs, tokenizer: Tokenizer) -> None:
    before = torch.get_rng_state()
    batches(pairs, tokenizer, workers=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_impossible_settings_are_errors(pairs: Pairs, tokenizer: Tokenizer) -> None:
    with pytest.raises(OpenAlignError, match="image_size 40 is larger than resize_size 32"):
        replace(SETTINGS, image_size=40)
    with pytest.raises(OpenAlignError, match="batch_size 8 cannot be divided evenly among 3 processes"):
        batches(pairs, tokenizer, world_size=3)
    with pytest.raises(OpenAlignError, match="holds no pairs"):
        batches(pairs.select([]), tokenizer)


def test_a_batch_tells_of_further_frames_where_it_decodes_them(folder: Path, tokenizer: Tokenizer) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    frames[0].save(folder / "00.jpg", "PNG", save_all=True, append_images=frames[1:])
    told: dict[str, int] = {}
    for batch in batches(open_pairs(folder), tokenizer):
        told |= batch.frames
    assert told == {"00.jpg": 3}
