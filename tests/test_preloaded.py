"""Preloaded processes against those of `subprocess`: streams, exit status, arguments, environment, directory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import preloaded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "code",
    [
        "import sys; print(sys.argv, __name__, sys.path[0])",
        "import os; print(os.getcwd(), os.environ['WISH'], os.getsid(0) == os.getpid())",
        "import sys; sys.exit(7)",
        "import sys; sys.exit('a message')",
        "import atexit; atexit.register(print, 'the end')",
        "import threading; threading.Timer(0.2, print, ['later']).start()",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    ],
)
def test_a_preloaded_process_does_what_a_new_one_does(code: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", code, "one", "two"]
    asked = {"cwd": tmp_path, "env": os.environ | {"WISH": "none"}, "start_new_session": True}
    expected = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **asked)
    done = preloaded.run(command, **asked)
    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)


@pytest.mark.parametrize(("code", "status"), [("raise ValueError(3)", 1), ("raise KeyboardInterrupt", -signal.SIGINT)])
def test_an_uncaught_exception_is_printed_and_ends_it(code: str, status: int) -> None:
    done = preloaded.run([sys.executable, "-c", code])
    assert done.returncode == status
    assert done.stderr.startswith("Traceback") and code.split()[1].split("(")[0] in done.stderr.splitlines()[-1]


def test_a_module_and_a_script_are_run_as_main(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; print(__name__, sys.argv[1:], sys.path[0])")
    done = preloaded.run([sys.executable, tmp_path / "script.py", 3])
    assert done.stdout == f"__main__ ['3'] {tmp_path}\n"
    assert preloaded.run([sys.executable, "-m", "openalign", "--version"]).stdout.startswith("openalign ")


def test_a_failing_test_leaves_no_process() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        preloaded.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process,
    ):
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL


KILLED = """
import sys
from tests import preloaded
preloaded.fork_server()  # of a process that has loaded nothing
begun = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"  # it ends with this one from then on
process = preloaded.Popen([sys.executable, "-c", begun], start_new_session=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_killed_tests_leave_no_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        try:
            assert tests.stdout is not None
            child = int(tests.stdout.readline())
            os.kill(child, 0)
        finally:
            tests.kill()
    deadline = time.monotonic() + 60
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(process: int) -> bool:
    """A process that ended may stay listed until its new parent asks for its status, which some never do."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
