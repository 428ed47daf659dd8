"""A disk that is full at any moment of a curation: one sentence, the older output whole, the same command goes on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openalign.checksums import check_files, read_checksums
from openalign.commands.exit_status import message_of
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.errors import OpenAlignError
from tests import preloaded
from tests.curation.crawl import drawing, encoded
from tests.curation.site import Server

pytestmark = pytest.mark.slow

OFFLINE = CurateRecipe.of(download=False, pairs_per_shard=60)
DISK_KB = 64 << 10
WITH_A_LIMIT = """
import resource, sys
from openalign.commands.cli import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    lines = ["image,text"]
    for number in range(150):
        (folder / f"{number}.jpg").write_bytes(encoded(drawing(number)))
        lines.append(f"{number}.jpg,drawing number {number}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def alone(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "out"
    curate([table], to=folder, workers=1, recipe=OFFLINE)
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of `DISK_KB`, in memory."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "none", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a file system")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)  # what failed may hold files open until collected


def fill(disk: Path, but_kb: int) -> Path:
    """A file that takes all room on `disk` but so much."""
    state = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - (but_kb << 10))
    return filler


def failure_of(run: Callable[[], object]) -> str:
    """The sentence that a run ends with."""
    with pytest.raises(Exception) as raised:
        run()
    sentence = message_of(raised.value)
    assert sentence is not None, raised.value
    return sentence


@pytest.mark.parametrize(
    ("free_kb", "workers"), [(0, 1), (20, 1), (40, 1), (100, 1), (400, 1), (400, 2), (1000, 1), (2000, 2)]
)
def test_a_full_disk_is_reported_and_the_same_command_resumes(
    disk: Path, table: Path, alone: Path, free_kb: int, workers: int
) -> None:
    out = disk / "out"
    curate([table], to=out, workers=1, recipe=CurateRecipe.of(download=False, min_words=1), cache_limit="0")
    older = read_checksums(out)
    assert older is not None
    filler = fill(disk, free_kb)
    sentence = failure_of(lambda: curate([table], to=out, workers=workers, recipe=OFFLINE))
    assert "No space left on device" in sentence and ("make room" in sentence or "free or repair" in sentence)
    assert read_checksums(out) == older
    check_files(out, older, "it should be whole")
    filler.unlink()
    curate([table], to=out, workers=workers, recipe=OFFLINE)
    for name in ("pairs.parquet", "dropped.parquet", "shards/shard-00000.tar", "shards/shard-00002.tar"):
        assert (out / name).read_bytes() == (alone / name).read_bytes()
    assert sorted(path.name for path in disk.iterdir()) == [".out.cache", "out"]


def test_downloads_that_find_no_room_give_an_error_message_and_go_on(disk: Path, server: Server) -> None:
    server.files = {f"{number}.jpg": encoded(drawing(number)) for number in range(100)}
    lines = [f"{server.url}/{name},drawing number {number}" for number, name in enumerate(server.files)]
    (disk / "list.csv").write_text("\n".join(["url,text", *lines]))
    settings = CurateRecipe.of(allow_private_hosts=True)
    filler = fill(disk, 1500)
    sentence = failure_of(lambda: curate([disk / "list.csv"], to=disk / "out", workers=1, recipe=settings))
    assert "No space left on device" in sentence
    filler.unlink()
    fetched = sum(server.asked.values())
    report = curate([disk / "list.csv"], to=disk / "out", workers=1, recipe=settings)
    assert report["pairs"]["kept"] == 100
    assert sum(server.asked.values()) - fetched < 100  # some were there already


def test_a_limit_of_file_sizes_gives_an_error_message(table: Path, tmp_path: Path) -> None:
    limit = 300_000
    typed = ["curate", table, "--to", tmp_path / "out", "--workers", 2, "--set", "download=false"]
    done = preloaded.run([sys.executable, "-c", WITH_A_LIMIT, limit, *typed])
    assert done.returncode == 1
    assert "File too large" in done.stderr and "ulimit -f" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device", "a.tar"), "No space left on device: a.tar: make room"),
        (OSError(27, "File too large"), "File too large: while writing: files may not be that large"),
        (OSError(24, "Too many open files", "a.tar"), "ulimit -n"),
        (OSError(5, "Input/output error", "a.tar"), "the disk, or the connection to it, has failed"),
        (OSError(36, "File name too long", "a" * 300), "File name too long: aaa"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("of Rust: No space left on device (os error 28)"), "make room"),
        (RuntimeError("of Java:\n at a\nIOException: Disk quota exceeded\n at b"), "Disk quota exceeded: make room"),
        (OpenAlignError("as it is"), "as it is"),
    ],
)
def test_what_a_user_can_mend_gives_an_error_message(error: Exception, says: str) -> None:
    assert says in (message_of(error) or "")


@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyError("a"), OSError("no number"), OSError(2, "No file")])
def test_what_is_our_own_mistake_is_not_hidden(error: Exception) -> None:
    assert message_of(error) is None
