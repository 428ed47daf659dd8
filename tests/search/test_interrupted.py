"""`openalign index` in processes of its own: killed, stopped, run twice at once, and run again."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import preloaded

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "slow_openalign.py"
BATCHES = 6


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


def start(photos: Path, to: Path, seconds: float) -> subprocess.Popen:
    log = to.with_name("batches.log")
    command = [sys.executable, SCRIPT, log, str(seconds), "index", photos, "--model", "slow", "--to", to]
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


def assert_same_index(to: Path, other: Path) -> None:
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (to, other)]
    assert contents[0] == contents[1]


def test_a_killed_run_resumes_and_writes_the_same_bytes(photos, left_alone, tmp_path):
    chance, to = random.Random(time.time_ns()), tmp_path / "photos.index"
    kept: list[str] = []
    for _ in range(2):
        process = start(photos, to, seconds=0.5)
        before = len(embedded(to))
        wait_for_batches(process, to, before + 2)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        kept += embedded(to)[before:-1]  # the last batch may have been embedded without being kept
        assert not to.exists()
    process = start(photos, to, seconds=0)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "images were embedded by an interrupted run and are not embedded again" in said
    assert_same_index(to, left_alone)
    assert len(kept) >= 2
    assert max(Counter(embedded(to))[batch] for batch in kept) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batches.log", "photos.index"]


def test_a_stopped_run_reports_what_it_kept(photos, tmp_path):
    to = tmp_path / "photos.index"
    process = start(photos, to, seconds=0.5)
    wait_for_batches(process, to, 2)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"kept in {tmp_path}/.photos.index.work: the same command resumes from there" in said.replace("\n", "")
    assert said.endswith("openalign: stopped\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".photos.index.work", "batches.log"]


def test_a_second_run_into_the_same_folder_is_refused_and_the_first_succeeds(photos, left_alone, tmp_path):
    to = tmp_path / "photos.index"
    first = start(photos, to, seconds=0.5)
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
