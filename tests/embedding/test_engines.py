"""The engines give the same bytes, and a process that is killed loses nothing and doubles nothing."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from openalign.curation.engine.spark import SparkEngine
from openalign.embedding.embed import embed
from openalign.embedding.read import Vectors
from openalign.errors import OpenAlignError
from tests import preloaded

pytestmark = pytest.mark.slow
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17, which is not installed")

SCRIPT = Path(__file__).with_name("slow_openalign.py")
ROWS = 4
PATIENCE_S = 120
"""Most seconds to wait for a process; it ends long before."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.fixture
def expected(photos, model, tmp_path) -> dict[str, bytes]:
    """What one process writes in one go."""
    embed(photos, model=model, to=tmp_path / "expected", workers=1, rows=ROWS)
    return contents(tmp_path / "expected")


def test_processes_give_the_same_bytes_as_one(photos, model, tmp_path, expected):
    embed(photos, model=model, to=tmp_path / "vectors", workers=2, rows=ROWS)
    assert contents(tmp_path / "vectors") == expected


@pytest.fixture
def session(monkeypatch):
    """A Spark session with two workers, which tries a task twice."""
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "OFF"}
    session = SparkSession.builder.master("local[2,2]").config(map=settings).getOrCreate()
    yield session
    session.stop()


@needs_java
def test_spark_gives_the_same_bytes_takes_what_is_done_and_tells_a_failure(
    photos, model, tmp_path, session, monkeypatch
):
    """One test, since a session takes seconds to start; few partitions, since each takes a moment."""
    embed(photos, model=model, to=tmp_path / "expected", workers=1, rows=16)
    expected, spark = contents(tmp_path / "expected"), {"engine": "spark", "workers": 2, "rows": 16}
    embed(photos, model=model, to=tmp_path / "vectors", **spark)
    assert contents(tmp_path / "vectors") == expected

    lost = next(name for name in sorted(expected) if name.startswith("part-"))
    times = times_of(tmp_path / "vectors")
    (tmp_path / "vectors" / lost).unlink()
    monkeypatch.chdir(photos.parent)  # not where Spark was started
    embed(photos.name, model=model, to=tmp_path / "vectors", **spark)
    assert contents(tmp_path / "vectors") == expected
    assert {name for name, time in times_of(tmp_path / "vectors").items() if time != times[name]} == {lost}

    shutil.copytree(model, tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(OpenAlignError, match=r"model\.safetensors"):
        embed(photos, model=tmp_path / "other", to=tmp_path / "none", **spark)
    assert not (tmp_path / "none" / "manifest.json").exists()

    engine = SparkEngine(tmp_path / "work", 2)
    work = partial(killed_at_first, once=tmp_path / "once")
    assert engine.run(work, [3, 4], "count") == [9, 16]
    with pytest.raises(OpenAlignError, match="count: a process of Spark was killed, most likely for lack of memory"):
        engine.run(killed, [1], "count")


def killed_at_first(number: int, once: Path) -> int:
    """The square; the first process that gets here is killed."""
    try:
        once.touch(exist_ok=False)
    except FileExistsError:
        return number * number
    return killed(number)


def killed(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def times_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}


def started(photos: Path, model: Path, to: Path) -> preloaded.Popen:
    """`openalign embed` with two slow workers."""
    given = ["embed", photos, "--model", model, "--to", to, "--rows", ROWS, "--workers", 2]
    return preloaded.Popen([sys.executable, SCRIPT, 0.1, *given], stderr=subprocess.PIPE)


def done_in(to: Path) -> set[str]:
    """The names of the partitions that a run which did not end has recorded."""
    return {path.stem for path in (to / ".unfinished").glob("part-*.json")}


def wait_for_partitions(running: preloaded.Popen, to: Path, count: int) -> None:
    for _ in range(6000):
        if len(done_in(to)) >= count or running.poll() is not None:
            assert running.returncode is None, running.communicate()
            return
        time.sleep(0.01)
    raise TimeoutError


def finished(running: preloaded.Popen) -> tuple[int, str]:
    """The exit status, and what was told."""
    with running:
        _, told = running.communicate(timeout=PATIENCE_S)
    return running.returncode, told


def workers_of(process: int) -> list[int]:
    """The processes that this one started, from any of its threads."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.parametrize("killed", ["driver", "worker"])
def test_a_process_killed_at_work_loses_and_doubles_nothing(photos, model, tmp_path, expected, killed):
    to, chance = tmp_path / "vectors", random.Random(killed)
    for count in (1, 4):
        running = started(photos, model, to)
        wait_for_partitions(running, to, count)
        time.sleep(0.1 * chance.random())
        os.kill(running.pid if killed == "driver" else chance.choice(workers_of(running.pid)), signal.SIGKILL)
        status, told = finished(running)
        assert status == (-signal.SIGKILL if killed == "driver" else 1)
        assert killed == "driver" or "a process was killed" in told
        assert not (to / "manifest.json").exists()
    kept, times = done_in(to), times_of(to)
    assert finished(started(photos, model, to))[0] == 0
    assert contents(to) == expected
    assert all(times_of(to)[f"{name}.parquet"] == times[f"{name}.parquet"] for name in kept)
    assert len(Vectors(to)) == 40


def test_ctrl_c_ends_at_once_and_says_how_to_go_on(photos, model, tmp_path, expected):
    to = tmp_path / "vectors"
    running = started(photos, model, to)
    wait_for_partitions(running, to, 1)
    running.send_signal(signal.SIGINT)
    status, told = finished(running)
    assert status == 130
    assert "the same command resumes from there" in told and "Traceback" not in told
    assert finished(started(photos, model, to))[0] == 0
    assert contents(to) == expected
