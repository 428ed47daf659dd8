"""One progress display for every stage: bars on standard error, nested under the demo's list of stages."""

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


class _Forgiving:
    """A stream whose failures end nothing: the terminal may be gone, or the disk full that it is redirected to."""

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
    """Standard error, whatever it is at the moment: tests and other libraries replace it."""

    @property
    def file(self) -> IO[str]:
        return cast(IO[str], _Forgiving(super().file))

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


console = _StandardError(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print a message on standard error, whole and as it is: file names are no markup, and stay in one piece."""
    console.print(message, markup=False, soft_wrap=True)


def list_problems(problems: Sequence[str], count: int | None = None) -> None:
    """Print the first few of `count` problems (default: all of `problems`) and how many more there are."""
    count = len(problems) if count is None else count
    for problem in problems[:_PROBLEMS_LISTED]:
        say(f"Left out: {problem}")
    if count > _PROBLEMS_LISTED:
        say(f"... and {count - _PROBLEMS_LISTED:,} more.")


_live: Progress | None = None
_open_bars = threading.local()  # `.count`: of this thread


class Bar:
    """A running bar: `advance` by finished items, `note` shows a short live figure at its end."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, items: int = 1) -> None:
        self._progress.advance(self._task, items)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)


@contextmanager
def display() -> Iterator[Progress]:
    """The live display: a new one, or the one already shown by an outer stage."""
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
    with Progress(*columns, console=console, expand=False) as progress:
        _live = progress
        try:
            yield progress
        finally:
            _live = None


@contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Bar]:
    """Show a bar named `description` over `total` items while the block runs.

    It stays when it is done, unless it stood inside another bar: that one may start such bars many times.
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
    """Iterate over `items` under a bar."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(description, total) as running:
        for item in items:
            yield item
            running.advance()
