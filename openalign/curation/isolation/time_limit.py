"""A function in a process of its own, which is ended when it takes too long: native code cannot be interrupted.

Each process has at most one such helper, started when the first call needs it, and anew after one was ended. It ends
with its parent, whose death closes the pipe between them.
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

_START_SECONDS = 300.0  # to start Python and import a module, which a busy network folder can make slow
_WALL_FACTOR = 30
"""A call that waits instead of computing, or that gets no processor, is ended after so many times its CPU seconds."""
_SERVE = "from openalign.curation.isolation.time_limit import serve; serve()"


def call_with_time_limit(function: Callable[..., Result], *args: Any, seconds: float, setting: str) -> Result:
    """`function(*args)`, computed in the helper process within so many CPU seconds, which `setting` says.

    Function, arguments and result are pickled. What the function raises, this raises as RecordError with type and
    message.

    Raises:
        TooLong: it took longer.
        RecordError: it raised, or its process crashed.
        RunError: no process could be started.
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
    """A record took more time than it may."""


class _Raised:
    """What the helper sends in place of a result; `reason` as `records.reason_of` gives it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Helper:
    """The parent's end of the process, which answers a request with None once it begins, and then with the result."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        # -P: a module in the working directory must not stand in for one of ours.
        command = [sys.executable, "-P", "-c", _SERVE, str(theirs.fileno())]
        path = os.pathsep.join(filter(None, sys.path))
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],  # and no other: locks stay with their owner
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            self.pipe.close()
            raise RunError(f"no process could be started to read pages and images in: {error}") from error
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
            raise RunError(f"the process to read pages and images in did not start in {_START_SECONDS:g} s") from None
        except (EOFError, OSError) as error:
            raise self._ended(begun, seconds) from error

    def _receive(self, seconds: float) -> Any:
        if not self.pipe.poll(seconds):
            raise TimeoutError
        return self.pipe.recv()

    def _ended(self, begun: bool, seconds: float) -> Exception:
        """Why the process is gone."""
        code = self.process.wait()
        if -code == signal.SIGPROF:
            return _too_long(seconds)
        ending = f"signal {-code}" if code < 0 else f"exit status {code}"
        if begun:
            return RecordError(f"the process that read it crashed ({ending})")
        return RunError(f"the process to read pages and images in ended while it started ({ending})")

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
    """The process number of the helper, if one runs."""
    return None if _helper is None else _helper.process.pid


def _end_helper() -> None:
    global _helper
    if _helper is not None:
        _helper.end()
    _helper = None


def _forget_helper() -> None:
    """In a forked process: the helper is the parent's, and its pipe must not stay open here when the parent dies."""
    global _helper, _lock
    if _helper is not None:
        _helper.pipe.close()
    _helper, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_helper)
atexit.register(_end_helper)


def serve() -> None:
    """What the helper process does: answer requests until its parent closes the pipe, or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the parent decides
    pipe: Connection = Connection(int(sys.argv[1]))
    try:
        while True:
            function, args, seconds = pipe.recv()
            pipe.send(None)
            pipe.send(_outcome(function, args, seconds))
    except (EOFError, OSError):
        pass


def _outcome(function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
    # SIGPROF ends a process that has no handler for it, in the middle of native code too.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return function(*args)
    except Exception as error:
        return _Raised(reason_of(error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
