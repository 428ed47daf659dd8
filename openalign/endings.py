"""How a command ends: done, stopped, or with one sentence; a traceback is a bug."""

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from openalign import terminal
from openalign.errors import OpenAlignError

OUTSIDE_US = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
)
"""System errors that the user mends, not we: no permission, no space, a file where a folder should be."""


class Commands(TyperGroup):
    """Turns the ways a run may end early, but for bugs, into a sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OpenAlignError as error:
            terminal.say(f"openalign: {error}")
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno not in OUTSIDE_US:
                raise
            terminal.say(f"openalign: {error.strerror}: {error.filename or 'while writing'}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            terminal.say("openalign: stopped")
            raise typer.Exit(130) from None
