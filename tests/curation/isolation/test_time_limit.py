"""The helper process: what runs too long in it is ended, and it never outlives its parent."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openalign.curation.isolation.records import RecordError, RunError
from openalign.curation.isolation.time_limit import TooLong, call_with_time_limit, helper_process
from openalign.locks import locked
from tests.curation import stand_ins

pytestmark = pytest.mark.slow

NOT_LONG = 60.0  # seconds within which a process that is to end has ended, however busy the machine


def call(function: Callable[..., object], *args: object, seconds: float = 30.0) -> object:
    return call_with_time_limit(function, *args, seconds=seconds, setting="page_seconds")


def test_results_and_what_is_raised_come_back_from_another_process() -> None:
    assert call(divmod, 7, 2) == (3, 1)
    assert call(stand_ins.process_number) not in (os.getpid(), None)
    for error in (RuntimeError("no"), UnicodeError("odd"), RecursionError("deep"), MemoryError()):
        with pytest.raises(RecordError, match=f"unexpected {type(error).__name__}"):
            call(stand_ins.raise_error, error)
    with pytest.raises(RecordError, match=r"^the reason$"):
        call(stand_ins.raise_error, RecordError("the reason"))


def test_one_process_serves_many_calls() -> None:
    assert len({call(stand_ins.process_number, number) for number in range(20)}) == 1


@pytest.mark.parametrize("stand_in", [stand_ins.sleep, stand_ins.compute])
def test_what_takes_too_long_is_ended_and_the_next_call_is_answered(stand_in: Callable[[float], None]) -> None:
    first = call(stand_ins.process_number)
    with pytest.raises(TooLong, match=r"^took longer than 0.05 s \(page_seconds\)$"):
        call(stand_in, stand_ins.LONG, seconds=0.05)
    assert is_gone(int(str(first)))
    assert call(stand_ins.process_number) != first


def test_a_crash_is_the_record_s_own() -> None:
    with pytest.raises(RecordError, match=r"crashed \(signal 9\)"):
        call(stand_ins.crash)
    assert call(divmod, 7, 2) == (3, 1)


def test_a_result_that_cannot_be_sent_is_the_record_s_own() -> None:
    with pytest.raises(RecordError, match="crashed"):
        call(eval, "lambda: 0")
    assert call(divmod, 7, 2) == (3, 1)


def test_a_helper_that_cannot_start_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordError):
        call(stand_ins.crash)  # so that the next call starts one
    monkeypatch.setattr("openalign.curation.isolation.time_limit._SERVE", "raise SystemExit(3)")
    with pytest.raises(RunError, match=r"exited while starting \(exit status 3\)"):
        call(divmod, 7, 2)
    monkeypatch.setattr("sys.executable", "/no/python")
    with pytest.raises(RunError, match="could not be started"):
        call(divmod, 7, 2)


def test_an_interrupted_call_does_not_give_its_answer_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    call(divmod, 7, 2)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("openalign.curation.isolation.time_limit._Helper._receive", interrupt)
        call(divmod, 7, 2)
    assert call(divmod, 9, 2) == (4, 1)


def test_the_helper_holds_no_lock_of_its_parent(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        call(stand_ins.crash)
    with (tmp_path / "secret").open("w") as file, locked(tmp_path / "folder"):
        os.set_inheritable(file.fileno(), True)
        found = call(stand_ins.open_files)
    assert isinstance(found, list) and found
    assert not [name for name in found if str(tmp_path) in name]


@pytest.mark.parametrize("busy", [False, True])
def test_the_helper_ends_with_a_parent_that_is_killed(busy: bool) -> None:
    code = f"""
from threading import Thread
from time import sleep
from openalign.curation.isolation.time_limit import call_with_time_limit, helper_process
from tests.curation import stand_ins
call_with_time_limit(divmod, 7, 2, seconds=1, setting="x")
if {busy}:
    Thread(target=lambda: call_with_time_limit(stand_ins.compute, 600.0, seconds=1, setting="x")).start()
    sleep(0.3)
print(helper_process(), flush=True)
sleep(600)
"""
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=path) as parent:
        try:
            assert parent.stdout is not None
            helper = int(parent.stdout.readline())
        finally:
            parent.kill()
    assert is_gone(helper)


def test_a_forked_process_has_a_helper_of_its_own() -> None:
    ours = call(stand_ins.process_number)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            before = helper_process()
            os.write(write, f"{before} {call(stand_ins.process_number)}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    before, theirs = os.read(read, 100).decode().split()
    os.close(read)
    os.close(write)
    assert before == "None" and int(theirs) != ours
    assert call(stand_ins.process_number) == ours
    assert is_gone(int(theirs))


def is_gone(process: int) -> bool:
    """Whether the process ends (a zombie has)."""
    until = time.monotonic() + NOT_LONG
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
