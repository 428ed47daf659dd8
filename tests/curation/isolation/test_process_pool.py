"""The process pool: results and errors of its processes, and that they end with it or with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from openalign.curation.isolation.process_pool import ProcessPool
from tests.curation.isolation.test_time_limit import is_gone

pytestmark = pytest.mark.slow

LIMIT_S = 60.0

PARENT = """
from time import sleep
from openalign.curation.isolation.process_pool import ProcessPool
from tests.curation.isolation.test_process_pool import process_id
pool = ProcessPool(2)
print(*[future.result() for future in [pool.submit(process_id, 0.5) for _ in range(2)]], flush=True)
pool.submit(sleep, 600)
sleep(600)
"""


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    opened = ProcessPool(2)
    yield opened
    opened.close()


def process_id(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_items_are_computed_in_other_processes_at_the_same_time(pool: ProcessPool) -> None:
    ids = {future.result(LIMIT_S) for future in [pool.submit(process_id, 1.0) for _ in range(2)]}
    assert len(ids) == 2 and os.getpid() not in ids


def test_an_exception_is_raised_by_its_result_and_the_pool_goes_on(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit(int, "one").result(LIMIT_S)
    assert pool.submit(int, "1").result(LIMIT_S) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_of_the_user_are_left_to_the_parent(pool: ProcessPool, number: signal.Signals) -> None:
    os.kill(pool.submit(process_id, 0.0).result(LIMIT_S), number)
    for future in [pool.submit(process_id, 0.1) for _ in range(4)]:
        future.result(LIMIT_S)  # raises if a process has ended


def test_closing_ends_busy_processes() -> None:
    pool = ProcessPool(1)
    process = pool.submit(process_id, 0.0).result(LIMIT_S)
    busy = pool.submit(time.sleep, 600.0)
    while not busy.running():
        time.sleep(0.01)
    pool.close()
    assert isinstance(busy.exception(LIMIT_S), BrokenProcessPool)
    assert is_gone(process)


def test_processes_end_when_their_parent_is_killed() -> None:
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=path) as parent:
        try:
            assert parent.stdout is not None
            processes = [int(process) for process in parent.stdout.readline().split()]
        finally:
            parent.kill()
    assert len(processes) == 2 and all(map(is_gone, processes))
