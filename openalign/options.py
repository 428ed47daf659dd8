"""How a message names an option: `--resume` on the command line, `resume=True` in a program.

What a command can do, a function can, whose arguments have the names of the options. So a message that tells what to
change is right for both, if it takes the name from here.
"""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_OTHER_NAMES = {"retry_failed": "--retry failed"}
"""Options of the command line that are spelled unlike the argument of the function."""
_ARGUMENTS = {"label_file": "labels"}
"""Options whose values the function takes in another argument."""
_typed = False
"""Whether this process runs a command; one for all threads, since they work for it."""
_called = ContextVar("called", default=False)
"""Whether it is a client of the service that reads the messages of this task."""


@contextmanager
def typed_options() -> Iterator[None]:
    """Name options as the command line spells them, until the end of the block."""
    global _typed
    before, _typed = _typed, True
    try:
        yield
    finally:
        _typed = before


@contextmanager
def called_options() -> Iterator[None]:
    """Name options as a program does, until the end of the block, in this task and what it starts.

    A service's answers are for its clients, which know no command line.
    """
    before = _called.set(True)
    try:
        yield
    finally:
        _called.reset(before)


def _is_typed() -> bool:
    return _typed and not _called.get()


def option(name: str = "", /, **values: Any) -> str:
    """The option `name`, or options with their values.

    `option("to")` is `--to` on the command line, and `to` in backticks in a program; `option(resume=True, to=run)` is
    `--resume --to runs/a`, and `resume=True, to='runs/a'` in backticks. A mapping is a repeated KEY=VALUE.
    """
    if not _is_typed():
        given = [_ARGUMENTS.get(name, name)] if name else [f"{key}={_python(value)}" for key, value in values.items()]
        return f"`{', '.join(given)}`"
    words = [_dashed(name)] if name else [word for key, value in values.items() for word in _shell(key, value)]
    return " ".join(words)


def as_given(name: str, key: str, value: Any) -> str:
    """One KEY=VALUE of an option, as it was typed without the shell's quotation marks."""
    return f"{_dashed(name)} {key}={value}" if _is_typed() else option(**{name: {key: value}})


def _dashed(name: str) -> str:
    return _OTHER_NAMES.get(name) or f"--{name.replace('_', '-')}"


def _shell(name: str, value: Any) -> Iterator[str]:
    if value is True:
        yield _dashed(name)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield f"{_dashed(name)} {shlex.quote(f'{key}={each}')}"
    else:
        yield f"{_dashed(name)} {shlex.quote(str(value))}"


def _python(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_python(each)}" for key, each in value.items()) + "}"
    return repr(value if isinstance(value, bool | int | float) else str(value))
