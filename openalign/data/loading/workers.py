"""Worker processes of a torch `DataLoader`: waiting never hangs, and the death of one is an `OpenAlignError`."""

import multiprocessing.connection
import multiprocessing.queues
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from openalign.errors import OpenAlignError

T = TypeVar("T")

_PIN_THREAD = "_pin_memory_loop"
_EXIT_VISIBLE_S = 5.0
"""Time for a worker's exit to become visible: it closes its connections earlier."""


def results(loader: "DataLoader[T]") -> Generator[T]:
    """The results of the workers, in order. When this generator ends, for whatever reason, all workers have ended.

    Raises:
        OpenAlignError: a worker was killed, exited, or could not be started.
    """
    deaths = _WorkerDeaths.watch()
    threading.excepthook = _pin_thread_excepthook
    built = _start(loader)
    try:
        while (result := _next(built, deaths)) is not None:
            yield result
    finally:
        _end_workers(built)


def start_worker(worker: int) -> None:
    """Set up a worker: one thread, and no reaction to Ctrl-C, SIGTERM and SIGHUP.

    These may be sent to the whole process group, but only the main process handles them: between two steps, until which
    it still needs batches. It then ends the workers itself.
    """
    sys.excepthook = _worker_excepthook
    # By default a queue drops what it cannot send, and the main process would wait for it for ever.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end_this_worker)  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def where_raised(error: BaseException) -> str:
    """An unexpected exception on one line: `ValueError: a message (images.py:33)`."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return " ".join(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})".split())


def _start(loader: "DataLoader[T]") -> Iterator[T]:
    before = {child.pid for child in multiprocessing.active_children()}
    try:
        return iter(loader)
    except OSError as error:
        for child in multiprocessing.active_children():
            if child.pid not in before:
                child.kill()
        raise OpenAlignError(
            f"the loader workers could not be started ({error.strerror or error}): lower workers"
        ) from None


def _next(built: Iterator[T], deaths: "_WorkerDeaths | None") -> T | None:
    """The next result. Any exception while a worker is dead (torch's error, a broken connection, a truncated message)
    is reported as the death of that worker."""
    try:
        if deaths is None:
            return next(built, None)
        with deaths.raised_here():
            return next(built, None)
    except Exception as error:
        status = _status_of_ended(getattr(built, "_workers", []))
        if status is None:
            raise OpenAlignError(f"the loader failed: {where_raised(error)}; this is a bug in openalign") from None
        raise OpenAlignError(_why_ended(status)) from None


def _status_of_ended(workers: list[Any]) -> int | None:
    """The exit status of a worker that has ended or is about to."""
    ending = multiprocessing.connection.wait([worker.sentinel for worker in workers], _EXIT_VISIBLE_S)
    for worker in workers:
        if worker.sentinel in ending:
            worker.join(_EXIT_VISIBLE_S)  # its pipe closes some time before it can be joined
    return next((worker.exitcode for worker in workers if worker.exitcode is not None), None)


def _why_ended(status: int) -> str:
    if status < 0:
        return "a loader worker was killed, most likely for lack of memory: lower workers or batch_size"
    return (
        f"a loader worker ended with status {status}, most likely for lack of open files (`ulimit -n`) or shared "
        "memory (/dev/shm): raise them, or lower workers or batch_size"
    )


def _end_workers(built: Iterator[Any]) -> None:
    """Kill the remaining workers.

    torch's own shutdown waits 5 seconds for each, sends SIGTERM, which they ignore, and takes locks that a killed
    worker may hold for ever. At interpreter exit multiprocessing would wait without limit.
    """
    if getattr(built, "_shutdown", True):  # everything was built, or there are no workers
        return
    loader: Any = built
    loader._shutdown = True  # makes torch's own shutdown a no-op
    torch._C._remove_worker_pids(id(loader))
    loader._worker_pids_set = False
    for worker in loader._workers:
        worker.kill()
    for worker in loader._workers:
        worker.join()
    for queue in loader._index_queues:
        queue.close()
    if hasattr(loader, "_pin_memory_thread"):
        loader._pin_memory_thread_done_event.set()
        loader._worker_result_queue._writer.close()  # unblocks a thread that reads a message of a dead worker
        loader._pin_memory_thread.join(2 * _EXIT_VISIBLE_S)


class _WorkerDeaths:
    """Wraps torch's handler of SIGCHLD, so that it runs only while the main thread waits for a batch.

    torch's handler raises wherever the main thread is when a worker dies: even in the middle of an optimizer step,
    which would leave weights that no checkpoint should hold.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self._handler = handler
        self._waiting = False

    @classmethod
    def watch(cls) -> "_WorkerDeaths | None":
        """Install torch's handler, as its first loader would, and wrap it; None outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return None
        signal_handling._set_SIGCHLD_handler()
        handler = signal.getsignal(signal.SIGCHLD)
        if isinstance(handler, cls):
            return handler
        if not callable(handler):
            return None
        watching = cls(handler)
        signal.signal(signal.SIGCHLD, watching)
        return watching

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._waiting:
            self._waiting = False  # stays off if the handler raises
            self._handler(number, frame)
            self._waiting = True

    @contextmanager
    def raised_here(self) -> Iterator[None]:
        """Deaths since the last such block, and those during this one, raise in it."""
        self._waiting = True
        try:
            self(signal.SIGCHLD, None)
            yield
        finally:
            self._waiting = False


def _end_this_worker(error: Exception, item: object) -> None:
    os._exit(1)


def _worker_excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the exception of a thread in a worker, unless the main process closed a connection."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)


def _pin_thread_excepthook(raised: threading.ExceptHookArgs) -> None:
    """Print the exception of a thread, except of torch's pin-memory thread when a worker dies: `_next` reports that."""
    if raised.thread is None or _PIN_THREAD not in raised.thread.name:
        threading.__excepthook__(raised)
