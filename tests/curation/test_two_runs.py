"""Two curations into one folder, and one whose processes are killed or stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.sources import listings
from openalign.errors import OpenAlignError
from tests import preloaded
from tests.curation.crawl import drawing, encoded

pytestmark = pytest.mark.slow

IMAGES = 300  # three batches
OFFLINE = CurateRecipe.of(download=False)
PATIENCE_S = 120.0

WRITES_LATE = """
import sys, time
from pathlib import Path
from openalign.curation import pipeline
from openalign.curation.recipe import CurateRecipe
source, to, begun, release = map(Path, sys.argv[1:5])
real = pipeline.write_kept
def write_kept(*given):
    begun.touch()
    while not release.exists():
        time.sleep(0.02)
    real(*given)
pipeline.write_kept = write_kept
pipeline.curate([source], to=to, workers=2, recipe=CurateRecipe.of(download=False))
"""

INSPECTS_FOR_EVER = """
import os, sys, time
from pathlib import Path
from openalign.curation.images import single_image
from openalign.commands.cli import main
source, to, workers = sys.argv[1:4]
def inspect(*given):
    Path(workers, str(os.getpid())).touch()
    time.sleep(600)
single_image.inspect_image = inspect
sys.argv[1:] = ["curate", source, "--to", to, "--workers", "2", "--set", "download=false"]
main()
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    lines = ["image,text"]
    for number in range(IMAGES):
        (folder / f"{number}.jpg").write_bytes(encoded(drawing(number, 240, 220)))
        lines.append(f"{number}.jpg,drawing number {number}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def alone(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    curate([table], to=folder, workers=1, recipe=OFFLINE)
    return folder


def started(script: str, *arguments: Path) -> subprocess.Popen[str]:
    return preloaded.Popen([sys.executable, "-c", script, *arguments], stderr=subprocess.PIPE, start_new_session=True)


def wait_for(reached: Callable[[], object], running: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert running is None or running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def same_outputs(one: Path, other: Path) -> bool:
    names = ("pairs.parquet", "dropped.parquet", "shards/shard-00000.tar")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_a_second_run_into_the_same_folder_is_refused_and_disturbs_nothing(
    table: Path, alone: Path, tmp_path: Path
) -> None:
    out, begun, release = tmp_path / "out", tmp_path / "begun", tmp_path / "release"
    first = started(WRITES_LATE, table, out, begun, release)
    try:
        wait_for(begun.exists, first)
        command = [sys.executable, "-m", "openalign", "curate", table, "--to", out, "--set", "download=false"]
        second = preloaded.run(command)
        assert second.returncode == 1
        assert f"is being written by another run (process {first.pid} on " in second.stderr
        assert "Traceback" not in second.stderr
        with pytest.raises(OpenAlignError, match=f"process {first.pid} on "):
            curate([table], to=out, workers=1, recipe=CurateRecipe.of(download=False, min_words=1))
        release.touch()
        assert first.wait(PATIENCE_S) == 0
    finally:
        first.kill()
    assert same_outputs(out, alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.cache", "begun", "out", "release"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_of_a_killed_run_stays_and_the_next_run_resumes(
    table: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, workers = tmp_path / "out", tmp_path / "workers"
    workers.mkdir()
    running = started(INSPECTS_FOR_EVER, table, out, workers)
    wait_for(lambda: len(list(workers.iterdir())) == 2, running)
    processes = [int(path.name) for path in workers.iterdir()]
    assert all(map(is_alive, processes))
    running.kill()  # the process alone, not its group
    running.wait()
    wait_for(lambda: not any(map(is_alive, processes)))
    with monkeypatch.context() as patched:
        patched.setattr(listings, "layout_called", None)  # nothing is read again
        curate([table], to=out, workers=1, recipe=OFFLINE)
    assert same_outputs(out, alone)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "to_all"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, True)],
    ids=["Ctrl-C", "SIGTERM to one process", "SIGTERM to all", "SIGHUP"],
)
def test_a_run_that_is_stopped_reports_it_once_and_keeps_its_work(
    table: Path, tmp_path: Path, number: signal.Signals, to_all: bool
) -> None:
    out, workers = tmp_path / "out", tmp_path / "workers"
    workers.mkdir()
    running = started(INSPECTS_FOR_EVER, table, out, workers)
    wait_for(lambda: len(list(workers.iterdir())) == 2, running)
    os.killpg(running.pid, number) if to_all else os.kill(running.pid, number)
    said = running.communicate(timeout=PATIENCE_S)[1]
    assert running.returncode == 130
    assert said.count("openalign: stopped") == 1 and "Traceback" not in said
    assert "the same command resumes from there" in " ".join(said.split())
    assert not any(is_alive(int(path.name)) for path in workers.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.cache", "workers"]
    assert [path.name for path in (tmp_path / ".out.cache").iterdir()] == ["steps"]


def test_a_killed_worker_is_one_error_message(table: Path, tmp_path: Path) -> None:
    out, workers = tmp_path / "out", tmp_path / "workers"
    workers.mkdir()
    running = started(INSPECTS_FOR_EVER, table, out, workers)
    wait_for(lambda: len(list(workers.iterdir())) == 2, running)
    os.kill(int(next(workers.iterdir()).name), signal.SIGKILL)
    said = running.communicate(timeout=PATIENCE_S)[1]
    assert running.returncode == 1
    assert "a process was killed, most likely for lack of memory" in said and "Traceback" not in said
    assert not any(is_alive(int(path.name)) for path in workers.iterdir())
