"""`openalign index` in processes of its own: killed, stopped, run twice at once, and run again."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.search import Index
from openalign.search.results.saved import SavedQuery
from tests import preloaded
from tests.search.contents import contents_of

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "slow_openalign.py"
BATCHES = 6
DERIVED = ("alike", "texts", "map")
KILLS = 10


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Six batches of images; some stand twice, in one batch and in two, and one cannot be read."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for number in range(64 * BATCHES - 20):
        Image.fromarray(noise.integers(0, 255, (9, 11, 3), np.uint8)).save(folder / f"{number:04}.png")
    for number, copied in ((3, 2), (100, 2), (200, 199), (300, 5), (301, 101)):
        (folder / f"{number:04}.png").write_bytes((folder / f"{copied:04}.png").read_bytes())
    (folder / "0150.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def left_alone(photos, tmp_path_factory) -> Path:
    to = tmp_path_factory.mktemp("alone") / "photos.index"
    done = start(photos, to, seconds=0)
    assert done.wait(timeout=120) == 0, done.stderr.read()
    return to


def start(photos: Path, to: Path, seconds: float, *options: str) -> subprocess.Popen:
    log = to.with_name("batches.log")
    command = [sys.executable, SCRIPT, log, str(seconds), "index", photos, "--model", "slow", "--to", to, *options]
    return preloaded.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def embedded(to: Path) -> list[str]:
    log = to.with_name("batches.log")
    return log.read_text().splitlines() if log.exists() else []


def wait_for_batches(process: subprocess.Popen, to: Path, count: int) -> None:
    for _ in range(2000):
        if len(embedded(to)) >= count or process.poll() is not None:
            return
        time.sleep(0.05)
    raise TimeoutError


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise TimeoutError


def assert_same_index(to: Path, other: Path) -> None:
    assert contents_of(to) == contents_of(other)


def kill_again_and_again(photos: Path, to: Path, chance: random.Random, times: int) -> str:
    """Kill a run `times` times and let the last one end; returns what that one said."""
    kept: list[int] = []
    for _ in range(times):
        before = embedded(to)
        process = start(photos, to, seconds=0.1)
        wait_for_batches(process, to, len(before) + 1)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.wait()
        # The last batch may have been embedded without being written: then it is embedded once more.
        kept += range(len(before), len(embedded(to)) - 1)
        if to.exists():
            assert len(Index.open(to)) > 0
    said = start(photos, to, seconds=0)
    output = said.communicate(timeout=120)[1]
    assert said.returncode == 0, output
    batches = embedded(to)
    assert not [place for place in kept if batches[place] in batches[place + 1 :]]
    return output


def test_a_killed_run_goes_on_and_ends_with_the_same_index(photos, left_alone, tmp_path):
    chance, to = random.Random(time.time_ns()), tmp_path / "photos.index"
    said = kill_again_and_again(photos, to, chance, 3)
    assert "since an interrupted run, and are not embedded again" in said or "no longer" not in said
    assert_same_index(to, left_alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batches.log", "photos.index"]


def test_a_killed_run_that_adds_and_removes_goes_on(photos, left_alone, tmp_path):
    """The index held other images before: some that stay, some that go, and one under another name."""
    others, to = tmp_path / "others", tmp_path / "photos.index"
    others.mkdir()
    for number, path in enumerate(sorted(photos.iterdir())[:100]):
        (others / path.name).write_bytes(path.read_bytes() + (b"x" if number % 3 else b""))
    (others / "0000.png").rename(others / "renamed.png")
    assert start(others, to, seconds=0).wait(timeout=120) == 0
    link = tmp_path / "photos"
    for path in sorted(photos.iterdir()):
        (others / path.name).write_bytes(path.read_bytes())
    (others / "renamed.png").unlink()
    others.rename(link)
    alone = tmp_path / "alone" / "photos.index"
    alone.parent.mkdir()
    assert start(link, alone, seconds=0).wait(timeout=120) == 0
    chance = random.Random(time.time_ns())
    kill_again_and_again(link, to, chance, 3)
    ours, theirs = contents_of(to, numbered=False), contents_of(alone, numbered=False)
    assert ours.keys() == theirs.keys()
    assert [ours[name] for name in DERIVED] == [theirs[name] for name in DERIVED]
    for digest in ours.keys() - {"problems", *DERIVED}:
        assert [*ours[digest][:2], ours[digest][3]] == [*theirs[digest][:2], theirs[digest][3]]


@pytest.fixture(scope="module")
def with_texts(tmp_path_factory) -> tuple[Path, Path]:
    """Photos with texts, some of which come again in another size, and a folder with the first half of them."""
    whole, half = (tmp_path_factory.mktemp(name) for name in ("whole", "half"))
    noise = np.random.default_rng(1)
    for number in range(300):
        image = Image.fromarray(noise.integers(0, 255, (7, 6, 3), np.uint8)).resize(
            (140, 160), Image.Resampling.BICUBIC
        )
        if number in (40, 80, 200, 260):
            image = Image.open(whole / f"{number // 2:04}.png").resize((120, 140))
        image.save(whole / f"{number:04}.png")
        (whole / f"{number:04}.txt").write_text(f"photo of {number % 270} things")
    for path in sorted(whole.iterdir())[:300]:
        (half / path.name).write_bytes(path.read_bytes())
    return half, whole


def test_ten_kills_at_random_moments_of_indexing_and_adding_change_nothing(with_texts, tmp_path):
    """Embedding images and texts, near-duplicates, the map, the mark: all of it, twice, and with saved queries."""
    chance, folder = random.Random(time.time_ns()), tmp_path / "photos"
    to, alone = tmp_path / "photos.index", tmp_path / "alone" / "photos.index"
    alone.parent.mkdir()
    began = time.monotonic()
    for photos in with_texts:
        folder.unlink(missing_ok=True)
        folder.symlink_to(photos)
        assert start(folder, alone, 0.05, "--embed-texts").wait(timeout=120) == 0
    seconds, kills = (time.monotonic() - began) / 2, 0
    for photos in with_texts:
        folder.unlink()
        folder.symlink_to(photos)
        while kills < KILLS // (1 + (photos == with_texts[0])):
            process = start(folder, to, 0.05, "--embed-texts")
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.1, 1) * seconds)
            kills += process.poll() is None
            process.kill()
            process.wait()
            if to.exists():
                index = Index.open(to)
                index.saved.put(f"after {kills}", SavedQuery("red"))
                index.store.close()
            if process.returncode == 0:
                break
        done = start(folder, to, 0, "--embed-texts")
        assert done.wait(timeout=120) == 0, done.stderr.read()
    assert Index.open(to).saved.names() or not kills
    ours, theirs = contents_of(to), contents_of(alone)
    assert len(ours["alike"]) == 3 and len(ours["texts"]) == 270 and len(ours["map"]) == 299
    assert ours == theirs
    for log in ("batches.log", "texts.log"):
        again, once = (len((each.with_name(log)).read_text().splitlines()) for each in (to, alone))
        assert once <= again <= once + kills  # what was embedded and not yet written is embedded once more
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "alone", "batches.log", "photos", "photos.index", "texts.log"
    ]  # fmt: skip


def test_a_stopped_run_reports_what_it_kept(photos, tmp_path):
    to = tmp_path / "photos.index"
    process = start(photos, to, seconds=0.2)
    wait_for_batches(process, to, 2)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"kept in {to}: the same command resumes from there" in said.replace("\n", "")
    assert said.endswith("openalign: stopped\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batches.log", "photos.index"]


def test_watching_keeps_up_with_a_folder_until_it_is_stopped(photos, tmp_path):
    few, to = tmp_path / "few", tmp_path / "photos.index"
    few.mkdir()
    for path in sorted(photos.iterdir())[:3]:
        (few / path.name).write_bytes(path.read_bytes())
    process = start(few, to, 0, "--watch")
    try:
        wait_until(lambda: to.exists() and len(Index.open(to)) == 3)
        for path in sorted(photos.iterdir())[3:8]:
            (few / path.name).write_bytes(path.read_bytes())
        (few / "0000.png").unlink()
        wait_until(lambda: len(Index.open(to)) == 6)  # one is equal to another
    finally:
        process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "Traceback" not in said
    assert Index.open(to).store.meta.finished


def test_a_second_run_into_the_same_folder_is_refused_and_the_first_succeeds(photos, left_alone, tmp_path):
    to = tmp_path / "photos.index"
    first = start(photos, to, seconds=0.2)
    wait_for_batches(first, to, 1)
    first.send_signal(signal.SIGSTOP)  # so that it does not end before the second one has begun
    second = start(photos, to, seconds=0)
    said = second.communicate(timeout=120)[1]
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert f"is being written by another run (process {first.pid} on" in said.replace("\n", "")
    assert first.wait(timeout=120) == 0
    assert_same_index(to, left_alone)
    assert len(embedded(to)) == BATCHES
