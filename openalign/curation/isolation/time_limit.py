"""Calls a function in a helper process that is killed if it takes too long: native code cannot be interrupted.

Each process has at most one helper, started by the first call, and again after one was killed. It exits with its
parent, whose end closes the pipe between them.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, TypeVar

from openalign.curation.isolation.records import RecordError, RunError, reason_of

Result = TypeVar("Result")

_START_SECONDS = 300.0  # to start Python and import a module, which is slow from a busy network folder
_WALL_FACTOR = 30
"""Wall-clock limit, as a multiple of the CPU seconds, for calls that wait instead of computing or get no processor."""
_SERVE = "from openalign.curation.isolation.time_limit import serve; serve()"


def call_with_time_limit(function: Callable[..., Result], *args: Any, seconds: float, setting: str) -> Result:
    """Return `function(*args)`, computed in the helper process within `seconds` of CPU time.

    Function, arguments and result are pickled. An exception of the function is raised as RecordError with its type and
    message. `setting` is the name of the setting that holds the limit.

    Raises:
        TooLong: the call took longer.
        RecordError: the function raised, or the process crashed.
        RunError: the process could not be started.
    """
    with _lock:
        helper = _running_helper()
        try:
            outcome = helper.ask(function, args, seconds)
        except TooLong as error:
            _end_helper()
            raise TooLong(f"{error} ({setting})") from None
        except BaseException:
            _end_helper()
            raise
    if isinstance(outcome, _Raised):
        raise RecordError(outcome.reason)
    result: Result = outcome
    return result


class TooLong(RecordError):
    """A record took longer than its time limit."""


class _Raised:
    """Sent by the helper instead of a result; `reason` is that of `records.reason_of`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Helper:
    """The parent's side of the process, which answers a request with None when it begins, then with the result."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        # -P: a module in the working directory must not shadow one of this package.
        command = [sys.executable, "-P", "-c", _SERVE, str(theirs.fileno())]
        path = os.pathsep.join(filter(None, sys.path))
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],  # and no others: locks stay with their owner
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            self.pipe.close()
            raise RunError(f"the process that reads pages and images could not be started: {error}") from error
        finally:
            theirs.close()

    def ask(self, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
        begun = False
        try:
            self.pipe.send((function, args, seconds))
            self._receive(_START_SECONDS)
            begun = True
            return self._receive(_WALL_FACTOR * seconds)
        except TimeoutError:
            if begun:
                raise _too_long(seconds) from None
            raise RunError(f"the process that reads pages and images did not start in {_START_SECONDS:g} s") from None
        except (EOFError, OSError) as error:
            raise self._ended(begun, seconds) from error

    def _receive(self, seconds: float) -> Any:
        if not self.pipe.poll(seconds):
            raise TimeoutError
        return self.pipe.recv()

    def _ended(self, begun: bool, seconds: float) -> Exception:
        """The error for a process that has exited."""
        code = self.process.wait()
        if -code == signal.SIGPROF:
            return _too_long(seconds)
        status = f"signal {-code}" if code < 0 else f"exit status {code}"
        if begun:
            return RecordError(f"the process that read it crashed ({status})")
        return RunError(f"the process that reads pages and images exited while starting ({status})")

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def _too_long(seconds: float) -> TooLong:
    return TooLong(f"took longer than {seconds:g} s")


_lock = threading.Lock()
_helper: _Helper | None = None


def _running_helper() -> _Helper:
    global _helper
    if _helper is None:
        _helper = _Helper()
    return _helper


def helper_process() -> int | None:
    """The process id of the helper, if it runs."""
    return None if _helper is None else _helper.process.pid


def _end_helper() -> None:
    global _helper
    if _helper is not None:
        _helper.end()
    _helper = None


def _forget_helper() -> None:
    """After a fork: the helper is the parent's, and its pipe must not stay open here when the parent exits."""
    global _helper, _lock
    if _helper is not None:
        _helper.pipe.close()
    _helper, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_helper)
atexit.register(_end_helper)


def serve() -> None:
    """The main loop of the helper process: answer requests until the parent closes the pipe or exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent handles it
    pipe: Connection = Connection(int(sys.argv[1]))
    try:
        while True:
            function, args, seconds = pipe.recv()
            pipe.send(None)
            pipe.send(_outcome(function, args, seconds))
    except (EOFError, OSError):
        pass


def _outcome(function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
    # SIGPROF terminates a process without a handler for it, even inside native code.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return function(*args)
    except Exception as error:
        return _Raised(reason_of(error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
