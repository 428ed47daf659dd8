"""Reads from more files than are held open, by many threads and processes: always the bytes of the file asked for."""

import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.files import open_files
from openalign.data.files.open_files import OpenFiles
from openalign.errors import OpenAlignError

pytestmark = pytest.mark.slow

COUNT = 20


def content(number: int) -> bytes:
    return bytes([number]) * (50 + number) + b"end"


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    for number in range(COUNT):
        (folder / f"{number:02d}").write_bytes(content(number))
    return sorted(folder.iterdir())


def test_a_file_is_held_while_it_is_read_however_many_others_are_opened_meanwhile(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another thread may do between opening and reading happens here each time."""
    files = OpenFiles(2)
    read = os.pread

    def read_after_others(number: int, size: int, offset: int) -> bytes:
        monkeypatch.setattr(open_files.os, "pread", read)
        for other in paths[1:]:
            files.read(other, 0, 5)
        return read(number, size, offset)

    monkeypatch.setattr(open_files.os, "pread", read_after_others)
    assert files.read(paths[0], 0, 1000) == content(0)


@settings(max_examples=25, deadline=None)
@given(
    most_open=st.integers(1, 4),
    threads=st.integers(2, 16),
    asked=st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, 60), st.integers(0, 80)), min_size=50),
)
def test_every_read_of_many_threads_is_right(
    paths: list[Path], most_open: int, threads: int, asked: list[tuple[int, int, int]]
) -> None:
    files = OpenFiles(most_open)
    with ThreadPoolExecutor(threads) as pool:
        reads = list(pool.map(lambda each: files.read(paths[each[0]], each[1], each[2]), asked * 8))
    assert reads == [content(number)[offset : offset + size] for number, offset, size in asked * 8]


def test_no_more_files_stay_open_than_allowed(paths: list[Path]) -> None:
    files = OpenFiles(3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in paths:
        files.read(path, 0, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 3
    files.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert files.read(paths[4], 0, 1) == content(4)[:1]


def _read_all(files: OpenFiles, paths: list[Path], rounds: int) -> int:
    return sum(files.read(path, 0, 1000) != content(number) for _ in range(rounds) for number, path in enumerate(paths))


def _exit_with_wrong_reads(files: OpenFiles, paths: list[Path]) -> None:
    os._exit(min(100, _read_all(files, paths, 30)))


def test_processes_forked_while_threads_read_go_on_reading(paths: list[Path]) -> None:
    files = OpenFiles(3)
    done = threading.Event()
    wrong: list[int] = []

    def keep_reading() -> None:
        while not done.is_set():
            wrong.append(_read_all(files, paths, 1))

    readers = [threading.Thread(target=keep_reading) for _ in range(4)]
    for reader in readers:
        reader.start()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_exit_with_wrong_reads, args=(files, paths)) for _ in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    done.set()
    for reader in readers:
        reader.join(60)
    assert [child.exitcode for child in children] == [0] * 6
    assert sum(wrong) == 0


def test_a_copy_for_another_process_begins_with_no_file_open(paths: list[Path]) -> None:
    files = OpenFiles(3)
    files.read(paths[0], 0, 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    copy = pickle.loads(pickle.dumps(files))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert copy.read(paths[7], 0, 1000) == content(7)


def test_a_file_that_was_replaced_is_read_as_it_was_or_refused(tmp_path: Path) -> None:
    files, path = OpenFiles(), tmp_path / "a"
    path.write_bytes(b"older one")
    files.remember([path])
    unread = pickle.loads(pickle.dumps(files))
    assert files.read(path, 0, 2) == b"ol"
    (tmp_path / "b").write_bytes(b"newer")
    (tmp_path / "b").replace(path)
    assert files.read(path, 2, 9) == b"der one"
    for other in (unread, pickle.loads(pickle.dumps(files))):
        with pytest.raises(OpenAlignError, match="a was changed or replaced since its folder was opened: start again"):
            other.read(path, 0, 2)
    files.close()
    with pytest.raises(OpenAlignError, match="was changed or replaced"):
        files.read(path, 0, 2)
    assert OpenFiles().read(path, 0, 9) == b"newer"


@pytest.mark.parametrize(("offset", "size"), [(1 << 70, 1), (-1, 1), (0, -1), (0, 1 << 70)])
def test_a_range_that_no_file_has_is_an_error_that_names_the_file(paths: list[Path], offset: int, size: int) -> None:
    with pytest.raises(OpenAlignError, match=f"{paths[0]} cannot be read"):
        OpenFiles().read(paths[0], offset, size)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="nowhere cannot be read: No such file"):
        OpenFiles().read(tmp_path / "nowhere", 0, 1)
