"""Batches depend on (seed, step) alone: not on workers, ranks, the cache, or where a run was taken up again."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from openalign.data.images.decode import decode, encode_jpeg, resize
from openalign.data.loading.image_cache import ImageCache
from openalign.data.loading.loader import Batch, BatchLoader, LoaderSettings, crops_of_step, word_keys_of_step
from openalign.data.loading.order import samples_of_step
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs, ids_of
from openalign.data.shards.index import read_index
from openalign.data.shards.writer import ShardWriter
from openalign.data.text.tokenizer import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.training.recipe.recipe import Recipe

COUNT = 23
LOADERS_OWN = {"max_pieces", "crop", "pin_memory"}
"""Loader settings that a recipe does not have under the same name."""
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
    pairs: Pairs, tokenizer: Tokenizer, first: int = 0, last: int = 6, cache: Path | None = None, **changes: Any
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
        assert torch.equal(one.image_ids_B, other.image_ids_B)
        assert torch.equal(one.text_ids_B, other.text_ids_B)
        assert one.problems == other.problems


def test_settings_are_taken_from_a_recipe_by_name() -> None:
    recipe = SimpleNamespace(batch_size=8, seed=5, image_size=24, resize_size=None, flip=False, word_dropout=0.25, lr=1)
    settings = LoaderSettings.of(recipe, resize_size=32)
    expected = {"batch_size": 8, "seed": 5, "image_size": 24, "resize_size": 32, "flip": False, "word_dropout": 0.25}
    assert settings == LoaderSettings(**expected)
    # A field that was renamed in one of the two would silently keep its default.
    assert {each.name for each in fields(LoaderSettings)} - Recipe.model_fields.keys() == LOADERS_OWN


def test_a_batch_is_what_the_order_the_crops_and_the_tokenizer_say(pairs: Pairs, tokenizer: Tokenizer) -> None:
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
    for place, (row, (top, left, height, width)) in enumerate(zip(batch.rows_B, boxes_B4, strict=True)):
        whole = resize(decode(pairs.image_bytes(row), min_side=32), 32, 32)
        crop = resize(whole[top : top + height, left : left + width], 24, 24)
        assert np.array_equal(batch.images_BHWC[place], crop[:, ::-1] if mirrored_B[place] else crop)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(pairs: Pairs, tokenizer: Tokenizer, workers: int) -> None:
    assert_equal(batches(pairs, tokenizer), batches(pairs, tokenizer, workers=workers))


def test_a_run_taken_up_again_goes_on_the_same(pairs: Pairs, tokenizer: Tokenizer) -> None:
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
            address = {"image": f"http://a.test/{i // 4}"}
            with_checksums.write(f"{i}", image, f"text {i}", address | {"sha256": hashlib.sha256(image).hexdigest()})
            without.write(f"{i}", image, f"text {i}", address)
    rows = np.arange(8)
    for name, shared_by in (("with", 2), ("without", 4)):
        ids = open_pairs(tmp_path / name).image_ids(rows)
        assert np.array_equal(ids[:, None] == ids, rows[:, None] // shared_by == rows // shared_by)


def test_ids_are_the_same_in_every_process() -> None:
    assert ids_of(["a red apple", ""]).tolist() == [8200019768709763039, -5426141060434712860]


def test_workers_outlive_a_sigterm_to_the_whole_process_group(pairs: Pairs, tokenizer: Tokenizer) -> None:
    loader = BatchLoader(pairs, tokenizer, replace(SETTINGS, workers=2), first_step=0, last_step=40)
    running = iter(loader)
    met = [next(running)]
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for worker in workers:
        os.kill(cast(int, worker.pid), signal.SIGTERM)
    met += running
    assert [batch.step for batch in met] == list(range(40))
    del running
    for worker in workers:
        worker.join(10)
        assert worker.exitcode == 0


def test_a_loader_left_in_the_middle_leaves_no_worker(pairs: Pairs, tokenizer: Tokenizer) -> None:
    running = iter(BatchLoader(pairs, tokenizer, replace(SETTINGS, workers=2), first_step=0, last_step=1000))
    next(running)
    assert len(multiprocessing.active_children()) == 2
    running.close()
    assert not multiprocessing.active_children()


def test_a_program_that_still_holds_its_loader_comes_to_an_end(folder: Path, tmp_path: Path) -> None:
    """Workers that ignore SIGTERM must be ended before multiprocessing waits for them at the interpreter's end."""
    program = f"""
from pathlib import Path
from types import SimpleNamespace
from openalign.data.loading.loader import BatchLoader, LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.text.tokenizer import Tokenizer, train_tokenizer
pairs = open_pairs({str(folder)!r})
tokenizer = Tokenizer.load(train_tokenizer(pairs.texts(), Path({str(tmp_path / "tokenizer.json")!r}), 100))
settings = LoaderSettings(batch_size=4, seed=1, image_size=24, resize_size=32, workers=2)
running = iter(BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=1000))
next(running)
held = [running]
held.append(held)
raise KeyboardInterrupt
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_the_seconds_of_a_batch_include_those_of_its_parts(pairs: Pairs, tokenizer: Tokenizer) -> None:
    assert all(batch.build_s > batch.disk_s + batch.decode_s > 0 for batch in batches(pairs, tokenizer))


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


@pytest.mark.parametrize("workers", [0, 1])
def test_rows_behind_the_end_of_a_cut_shard_are_named_and_replaced(
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
    whole = open_pairs(tmp_path / "shards")
    met = batches(whole, tokenizer, workers=workers)
    said = {problem for batch in met for problem in batch.problems}
    assert said == {
        f"{whole.row_name(row)}: {tar} is shorter than its index says: "
        "fetch or write the shard again, or delete its index to use the samples left; "
        f"{whole.row_name(6)} takes its place"
        for row in (4, 5)
    }
    for batch in met:
        wanted = samples_of_step(batch.step, 8, 12, 5)
        assert np.array_equal(batch.rows_B, np.where((wanted == 4) | (wanted == 5), 6, wanted))


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
    said = {problem for batch in met for problem in batch.problems}
    assert len(said) == 1
    assert said.pop().startswith(f"{pairs.row_name(4)}: ")
    assert all(4 not in batch.rows_B for batch in met)


@pytest.mark.parametrize("workers", [0, 1])
def test_of_shards_a_sample_is_checked_and_another_image_is_replaced_as_an_unreadable_one(
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
    [said] = {problem for batch in met for problem in batch.problems}
    assert said.startswith(f"{pairs.row_name(16)}: {tar} holds other bytes at {offsets[16]:,} than were written")
    assert said.endswith(f"; {pairs.row_name(17)} takes its place")
    assert all(16 not in batch.rows_B for batch in met)
    assert any(3 in batch.rows_B for batch in met)
    with pytest.raises(OpenAlignError, match="holds other bytes"):
        pairs.image_bytes(3)


def test_crops_lie_within_the_image_and_reach_its_edges() -> None:
    boxes_B4, mirrored_B = crops_of_step(0, replace(SETTINGS, batch_size=1000))
    assert boxes_B4.min(0).tolist() == [0, 0, 24, 24]
    assert boxes_B4.max(0).tolist() == [8, 8, 24, 24]
    assert 400 < mirrored_B.sum() < 600
    boxes_B4, mirrored_B = crops_of_step(0, replace(SETTINGS, crop=False, flip=False))
    assert np.unique(boxes_B4, axis=0).tolist() == [[4, 4, 24, 24]]
    assert not mirrored_B.any()


def test_crops_of_any_scale_cover_the_share_asked_for() -> None:
    settings = replace(SETTINGS, batch_size=10_000, resize_size=200, crop_scale=0.25)
    tops_B, lefts_B, heights_B, widths_B = crops_of_step(0, settings)[0].T
    shares_B = heights_B * widths_B / 200**2
    assert shares_B.min() == pytest.approx(0.25, abs=0.01)
    assert shares_B.max() > 0.99
    assert np.mean(shares_B < 0.5) == pytest.approx(1 / 3, abs=0.03)
    shapes_B = heights_B / widths_B
    assert (shapes_B.min(), shapes_B.max()) == (pytest.approx(3 / 4, abs=0.02), pytest.approx(4 / 3, abs=0.02))
    assert np.median(shapes_B) == pytest.approx(1, abs=0.02)
    assert min(tops_B.min(), lefts_B.min()) == 0
    assert max((tops_B + heights_B).max(), (lefts_B + widths_B).max()) == 200
    centred = crops_of_step(0, replace(settings, crop=False))[0]
    assert np.unique(centred, axis=0).tolist() == [[88, 88, 24, 24]]


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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_at_any_moment_is_one_error_and_leaves_no_process(
    pairs: Pairs, tokenizer: Tokenizer, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = replace(SETTINGS, workers=workers, batch_size=2)
    for after in np.random.default_rng(workers).uniform(0, 0.05, 20):
        running = iter(BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=100_000))
        next(running)
        killed = multiprocessing.active_children()[-1]
        timer = threading.Timer(after, killed.kill)
        timer.start()
        with pytest.raises(OpenAlignError, match="a loader worker was killed"):
            for _ in running:
                pass
        timer.join()
        assert not multiprocessing.active_children()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_before_its_batches_are_fetched_is_told_from_a_fault(
    pairs: Pairs, tokenizer: Tokenizer, workers: int
) -> None:
    """In a thread no signal tells of the death: the connection to the dead worker breaks."""
    said: list[BaseException] = []

    def fetch() -> None:
        running = iter(BatchLoader(pairs, tokenizer, replace(SETTINGS, workers=workers), first_step=0, last_step=40))
        next(running)
        time.sleep(0.5)  # batches wait to be fetched
        for worker in multiprocessing.active_children():
            worker.kill()
        try:
            list(running)
        except BaseException as error:
            said.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    thread.join(60)
    assert isinstance(said[0], OpenAlignError) and "a loader worker was killed" in str(said[0])
    assert not multiprocessing.active_children()


class _Unexpected(Tokenizer):
    """A tokenizer with a fault in it."""

    def __call__(self, texts: Sequence[str], max_pieces: int = 64) -> Any:
        raise KeyError("no such piece")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unexpected_exception_in_a_worker_is_one_line(pairs: Pairs, tokenizer: Tokenizer, workers: int) -> None:
    tokenizer.__class__ = _Unexpected
    with pytest.raises(OpenAlignError, match=r"batch of step 1 cannot be built: KeyError: 'no such piece' \(.*py:\d+"):
        batches(pairs, tokenizer, workers=workers)
    assert not multiprocessing.active_children()


def test_batches_that_cannot_be_sent_end_the_loader(
    pairs: Pairs, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batch, "__reduce__", lambda self: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with pytest.raises(OpenAlignError, match="a loader worker ended with status 1, most likely for want of open files"):
        batches(pairs, tokenizer, workers=2)
    assert not multiprocessing.active_children()


def test_a_full_shared_memory_is_one_error(pairs: Pairs, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(OpenAlignError, match="batch of step 1 cannot be built: no shared memory is left"):
        batches(pairs, tokenizer, workers=2)
