"""A command's process ends at once, and all the same as it should."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import atexit, sys, threading, time
from openalign.commands.lasting import lasting_objects, own_process

class Kept:
    def __del__(self):
        print("freed")

with own_process():
    with lasting_objects():
        import pyarrow
        kept = Kept()
    pyarrow.array([1])
    print("pandas" in sys.modules)
    atexit.register(print, "at the end")
    {more}
    sys.exit({status})
"""


@pytest.mark.parametrize("status", [0, 3])
def test_what_is_registered_for_the_end_runs_and_nothing_is_freed(status: int) -> None:
    done = run("", str(status))
    assert (done.returncode, done.stdout, done.stderr) == (status, "False\nat the end\n", "")


def test_a_thread_at_work_is_waited_for() -> None:
    more = "threading.Thread(target=lambda: (time.sleep(0.2), print('done'))).start()"
    done = run(more, "0")
    assert done.stdout.splitlines()[:2] == ["False", "done"] and "at the end" in done.stdout


def test_a_message_in_place_of_a_status_is_printed() -> None:
    done = run("", "'it failed'")
    assert done.returncode == 1 and "it failed" in done.stderr and "at the end" in done.stdout


def test_pandas_can_be_imported_later() -> None:
    pytest.importorskip("pandas")
    done = run("import pandas; print(len(pandas.DataFrame([1, 2])))", "0")
    assert (done.returncode, done.stdout) == (0, "False\n2\nat the end\n")


def run(more: str, status: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(more=more, status=status)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
