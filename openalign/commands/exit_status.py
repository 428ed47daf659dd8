"""How a command ends: done, stopped, or with one sentence; a traceback is a bug."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from openalign.errors import OpenAlignError, ReportedElsewhere, UsageError
from openalign.progress import say, shown_messages

ADVICE = {
    errno.ENOSPC: "make room, and give the same command again",
    errno.EDQUOT: "make room, and give the same command again",
    errno.EFBIG: "files may not be that large here: raise the limit (ulimit -f), or choose another disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and give the same command again",
    errno.ENFILE: "close other programs, and give the same command again",
    errno.EIO: "the disk, or the connection to it, has failed",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EBUSY: "another program uses it, or a disk is mounted there: choose a folder inside it, or another one",
    errno.ESTALE: "the network folder was mounted anew: give the same command again",
}
"""System errors that the user mends, not we, and how. They are looked for in the texts of other exceptions as well."""
OUTSIDE_US = frozenset(ADVICE) | {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOMEM,
}
"""Those, and others that need no advice: no permission, a file where a folder should be, too long a name."""
_STOPPED = ("SIGTERM", "SIGHUP")


class Commands(TyperGroup):
    """Turns the ways a run may end early, but for bugs, into a sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        with shown_messages():
            return self._invoke(ctx)

    def _invoke(self, ctx: Any) -> Any:
        try:
            with _signals_interrupt():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            say("openalign: stopped")
            raise typer.Exit(130) from None
        except ReportedElsewhere:
            raise typer.Exit(1) from None
        except Exception as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            say(f"openalign: {sentence}")
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def sentence_of(error: BaseException) -> str | None:
    """What to tell the user of an error that is none of ours; None for a bug."""
    if isinstance(error, OpenAlignError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory: close other programs, or do less at once"
    if isinstance(error, OSError) and error.errno in OUTSIDE_US:
        # A rename names two files, of which the user knows the second.
        return _with_advice(f"{error.strerror}: {error.filename2 or error.filename or 'while writing'}", error.errno)
    for line in str(error).splitlines():  # other languages' libraries raise their own exceptions, Java's of many lines
        for number in ADVICE:
            if os.strerror(number) in line:
                return _with_advice(line.strip(), number)
    return None


def _with_advice(said: str, number: int) -> str:
    return f"{said}: {ADVICE[number]}" if number in ADVICE else said


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does; where they are ignored (nohup) they stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = os.getpid()

    def interrupt(number: int, _: object) -> None:
        if os.getpid() == ours:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)  # a forked process that has not chosen otherwise just ends
        os.kill(os.getpid(), number)

    numbers = [getattr(signal, name) for name in _STOPPED if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
