"""Messages and progress bars on standard error.

Messages go through the logger `openalign`. It prints nothing in programs that do not configure logging; the command
line shows the messages.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager, suppress
from typing import IO, Any, TypeVar, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
_PROBLEMS_LISTED = 5


class _LossyStream:
    """A stream that drops what it cannot write: the terminal may be gone, or the disk that it is redirected to full."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _StandardError(Console):
    """A console on the current `sys.stderr`, which tests and other libraries replace."""

    @property
    def file(self) -> IO[str]:
        return cast(IO[str], _LossyStream(super().file))

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


console = _StandardError(stderr=True, highlight=False, emoji=False)  # `:x:` in a name stays


log = logging.getLogger("openalign")
log.addHandler(logging.NullHandler())


def say(message: str) -> None:
    """Log a message at the level INFO."""
    log.info(message)


class _ConsoleHandler(logging.Handler):
    """Prints messages without markup or line wrapping, so that file names stay whole."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(self.format(record), markup=False, soft_wrap=True, style=getattr(record, "style", None))


@contextmanager
def shown_messages() -> Iterator[None]:
    """Print the library's messages on standard error while the block runs, as the command line does."""
    if any(isinstance(handler, _ConsoleHandler) for handler in log.handlers):
        yield
        return
    handler, level = _ConsoleHandler(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextmanager
def silenced(wanted: bool) -> Iterator[None]:
    """If `wanted`, show no bars or messages while the block runs: for all but one of several processes."""
    if not wanted:
        yield
        return
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with display(disable=True):
            yield
    finally:
        log.setLevel(level)


def warn(messages: Sequence[str]) -> None:
    """Log warnings that a terminal shows in colour."""
    for message in messages:
        log.warning(message, extra={"style": "bold yellow"})


def list_notes(notes: Sequence[str]) -> None:
    """Log the first few messages and how many more there are."""
    for note in notes[:_PROBLEMS_LISTED]:
        log.warning(note)
    if len(notes) > _PROBLEMS_LISTED:
        log.warning(f"... and {len(notes) - _PROBLEMS_LISTED:,} more.")


def list_problems(problems: Sequence[str], count: int | None = None) -> None:
    """Log the first few of `count` problems (default: all of `problems`) and how many more there are."""
    count = len(problems) if count is None else count
    for problem in problems[:_PROBLEMS_LISTED]:
        log.warning(f"Left out: {problem}")
    if count > _PROBLEMS_LISTED:
        log.warning(f"... and {count - _PROBLEMS_LISTED:,} more.")


_live: Progress | None = None
_open_bars = threading.local()  # `.count`: bars open in this thread


class Bar:
    """A running bar: `advance` by finished items; `note` shows a short text at its end."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, items: int = 1) -> None:
        self._progress.advance(self._task, items)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)


@contextmanager
def display(disable: bool = False) -> Iterator[Progress]:
    """The live display: a new one, which shows nothing with `disable`, or the one of an outer stage."""
    global _live
    if _live is not None:
        yield _live
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=console, expand=False, disable=disable) as progress:
        _live = progress
        try:
            yield progress
        finally:
            _live = None


@contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Bar]:
    """Show a bar named `description` over `total` items while the block runs.

    It stays visible when done, unless it is nested in another bar, which may open such bars many times.
    """
    with display() as progress:
        outside = getattr(_open_bars, "count", 0)
        _open_bars.count = outside + 1
        task = progress.add_task(description, total=total, note="")
        try:
            yield Bar(progress, task)
        finally:
            _open_bars.count = outside
            if outside:
                progress.remove_task(task)
            else:
                progress.stop_task(task)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` and show a bar."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(description, total) as running:
        for item in items:
            yield item
            running.advance()
