"""Two runs never write one folder, and a dead owner's lock is taken over."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openalign import locks
from openalign.errors import OpenAlignError
from openalign.locks import locked

HOLDER = """
import os, sys, time
from pathlib import Path
from openalign.locks import locked
with locked(Path(sys.argv[1])):
    if "forked" in sys.argv and os.fork() == 0:
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def hold_elsewhere(folder: Path, *how: str) -> subprocess.Popen[str]:
    """A process that holds the lock of `folder`, from now on for a minute."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *how], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(locks, "HEARTBEAT_S", 0.1)


def left_by_another_machine(folder: Path) -> Path:
    path = folder.with_name(f".{folder.name}.lock")
    path.write_text(json.dumps({"process": 7, "host": "node-9", "boot": "other", "since": "noon", "command": "index"}))
    return path


def test_a_second_process_learns_who_holds_the_folder(tmp_path):
    holder = hold_elsewhere(tmp_path / "out")
    try:
        with pytest.raises(OpenAlignError, match=rf"written by another run \(process {holder.pid} on "):
            locked(tmp_path / "out").__enter__()
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("how", [(), ("forked",)], ids=["alone", "with a child that lives on"])
def test_a_dead_owners_lock_is_taken_over(tmp_path, how):
    holder = hold_elsewhere(tmp_path / "out", *how)
    holder.kill()
    holder.wait()
    try:
        with locked(tmp_path / "out"):
            assert json.loads((tmp_path / ".out.lock").read_text())["process"] == os.getpid()
    finally:
        if how:
            os.killpg(holder.pid, signal.SIGKILL)


def test_nothing_is_left_of_a_lock_that_was_released(tmp_path):
    with locked(tmp_path / "out"):
        assert (tmp_path / ".out.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_holder_may_lock_again_and_inside(tmp_path):
    with locked(tmp_path / "out"), locked(tmp_path / "out"), locked(tmp_path / "out" / "model"):
        assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]


def test_another_thread_of_the_same_process_is_refused(tmp_path):
    refused = []

    def try_it():
        try:
            locked(tmp_path / "out").__enter__()
        except OpenAlignError as error:
            refused.append(str(error))

    with locked(tmp_path / "out"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_many_threads_take_turns_and_never_hold_it_together(tmp_path):
    inside, most = [], []

    def work(number: int) -> int:
        done = 0
        for _ in range(20):
            try:
                with locked(tmp_path / "out"):
                    inside.append(number)
                    most.append(len(inside))
                    inside.remove(number)
                    done += 1
            except OpenAlignError:
                pass
        return done

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) > 0
    assert set(most) == {1}


def test_a_lock_of_another_machine_is_taken_over_when_its_heart_has_stopped(tmp_path, quick):
    left_by_another_machine(tmp_path / "out")
    with locked(tmp_path / "out"):
        pass


def test_a_lock_of_another_machine_holds_while_its_heart_beats(tmp_path, quick):
    path = left_by_another_machine(tmp_path / "out")
    with locks._heartbeat(path), pytest.raises(OpenAlignError, match="process 7 on node-9"):
        locked(tmp_path / "out").__enter__()


def test_a_lock_file_with_any_content_is_not_an_obstacle(tmp_path, quick):
    for content in (b"", b"[]", b"{", b"\xff\xfe", b'{"process": []}'):
        (tmp_path / ".out.lock").write_bytes(content)
        with locked(tmp_path / "out"):
            pass


def test_a_pipe_instead_of_the_lock_file_is_not_an_obstacle(tmp_path):
    os.mkfifo(tmp_path / ".out.lock")
    with locked(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_the_file_system_holds_no_locks_the_heartbeat_does(tmp_path, quick, monkeypatch):
    def no_locks(self, *args, **options):
        raise OSError(locks.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.FileLock, "acquire", no_locks)
    with locked(tmp_path / "out"):
        refused = []

        def try_it():
            with pytest.raises(OpenAlignError) as raised:
                locked(tmp_path / "out").__enter__()
            refused.append(raised)

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        assert len(refused) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_where_no_lock_file_can_be_created_no_other_run_is_blamed() -> None:
    with (
        pytest.raises((OpenAlignError, OSError), match=r"cannot be written|Permission|No such file"),
        locked(Path("/proc/x")),
    ):
        pass
