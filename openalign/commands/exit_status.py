"""How a command ends: with exit status 0, 1 or 2 and one error message, or 130; a traceback is a bug.

0: done. 1: it could not be done. 2: wrong whatever the files hold, such as an unknown option, choice or setting.
130: stopped by Ctrl-C, SIGTERM or SIGHUP.
"""

import errno
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from openalign.errors import OpenAlignError, ReportedElsewhere, UsageError
from openalign.options import typed_options
from openalign.progress import say, shown_messages
from openalign.validation import requirement

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
"""System errors that the user can fix, and how. Messages of other exceptions are searched for them as well."""
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
"""Those above, and others that need no advice: no permission, a file instead of a folder, a name that is too long."""
_STOPPED = ("SIGTERM", "SIGHUP")


class Command(TyperCommand):
    """Reports a mistake in how the command was given as the parser does: with its usage, and exit status 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            _check_given_once(self.make_parser(ctx).parse_args(args=list(args))[2], ctx)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if found := getattr(error.__cause__, "errors", None):  # one of pydantic's, which is not imported for this
                told = requirement(found()[0]).removesuffix(".")
                error.message = f"it {told}." if told.startswith(("must", "is ", "has ")) else f"{told}."
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise typer.BadParameter(str(error), ctx=ctx) from None


class Commands(TyperGroup):
    """Turns every other way in which a run ends early, but for bugs, into an error message and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        with shown_messages(), typed_options():
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
            message = message_of(error)
            if message is None:
                raise
            say(f"openalign: {message}")
            raise typer.Exit(1) from None


def _check_given_once(given: Sequence[Any], ctx: Any) -> None:
    """Raise `BadParameter` if an option that takes one value is among the parameters twice: the last would win."""
    once = [each for each in given if each.param_type_name == "option" and not (each.multiple or each.is_flag)]
    for param in once:
        if (times := once.count(param)) > 1:
            message = f"it takes one value, and is given {'twice' if times == 2 else f'{times:,} times'}: leave one."
            raise typer.BadParameter(message, ctx=ctx, param=param)


def message_of(error: BaseException) -> str | None:
    """The message for an error that the user can do something about; None for a bug."""
    if isinstance(error, OpenAlignError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory: close other programs, or do less at once"
    if isinstance(error, OSError) and error.errno in OUTSIDE_US:
        # A failed rename names two files; the user knows the second.
        return _with_advice(f"{error.strerror}: {error.filename2 or error.filename or 'while writing'}", error.errno)
    for line in str(error).splitlines():  # libraries raise exceptions of their own, Java's with many lines
        for number in ADVICE:
            if os.strerror(number) in line:
                return _with_advice(line.strip(), number)
    return None


def _with_advice(message: str, number: int) -> str:
    return f"{message}: {ADVICE[number]}" if number in ADVICE else message


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does; a signal that is ignored (nohup) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = os.getpid()

    def interrupt(number: int, _: object) -> None:
        if os.getpid() == ours:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)  # a forked process without a handler of its own ends at once
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
