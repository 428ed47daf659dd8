"""Worker processes of a torch `DataLoader`: none is waited for in vain, and the death of one is an error message."""

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
_SECONDS_TO_BE_SEEN_DEAD = 5.0
"""A process closes its connections before its parent can see that it ended."""


def results(loader: "DataLoader[T]") -> Generator[T]:
    """What the workers build, in order. When this generator ends, for whatever reason, no worker is left.

    Raises:
        OpenAlignError: a worker was killed, ended, or could not be started.
    """
    deaths = _DeathOfWorkers.watch()
    threading.excepthook = _of_the_pin_thread
    built = _start(loader)
    try:
        while (result := _next(built, deaths)) is not None:
            yield result
    finally:
        _end_workers(built)


def start_worker(worker: int) -> None:
    """One thread a worker.

    Ctrl-C, SIGTERM and SIGHUP, which may go to the whole process group, are for the main process: it answers them
    between two steps, for which it still wants batches, and then ends the workers itself.
    """
    sys.excepthook = _of_no_lost_peer
    # What cannot be sent is dropped by the queue, and the main process would wait for it for ever.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end_this_worker)  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def where_raised(error: BaseException) -> str:
    """`ValueError: a message (images.py:33)`: an unexpected exception on one line."""
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


def _next(built: Iterator[T], deaths: "_DeathOfWorkers | None") -> T | None:
    """The next result; whatever is raised while a worker is dead (torch's error, a connection that breaks while its
    tensors are fetched, a message cut in the middle) is its death."""
    try:
        if deaths is None:
            return next(built, None)
        with deaths.raised_here():
            return next(built, None)
    except Exception as error:
        status = _status_of_ended(getattr(built, "_workers", []))
        if status is None:
            raise OpenAlignError(f"the loader failed: {where_raised(error)}; this is a fault of openalign") from None
        raise OpenAlignError(_why_ended(status)) from None


def _status_of_ended(workers: list[Any]) -> int | None:
    """The exit status of a worker that has ended, or is about to."""
    ending = multiprocessing.connection.wait([worker.sentinel for worker in workers], _SECONDS_TO_BE_SEEN_DEAD)
    for worker in workers:
        if worker.sentinel in ending:
            worker.join(_SECONDS_TO_BE_SEEN_DEAD)  # its pipe is closed some time before it can be waited for
    return next((worker.exitcode for worker in workers if worker.exitcode is not None), None)


def _why_ended(status: int) -> str:
    if status < 0:
        return "a loader worker was killed, most likely for want of memory: lower workers or batch_size"
    return (
        f"a loader worker ended with status {status}, most likely for want of open files (`ulimit -n`) or shared "
        "memory (/dev/shm): raise them, or lower workers or batch_size"
    )


def _end_workers(built: Iterator[Any]) -> None:
    """Kill the workers that are left, and nothing more is asked of them.

    torch's own end waits 5 seconds for each, asks them with SIGTERM, which they ignore, and takes locks that a killed
    worker may hold for ever. At the interpreter's end multiprocessing would wait without limit.
    """
    if getattr(built, "_shutdown", True):  # all was built, or there are no workers
        return
    loader: Any = built
    loader._shutdown = True  # torch's own end does nothing from now on
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
        loader._worker_result_queue._writer.close()  # a thread in the middle of a message of a dead worker goes on
        loader._pin_memory_thread.join(2 * _SECONDS_TO_BE_SEEN_DEAD)


class _DeathOfWorkers:
    """torch's handler of SIGCHLD, held back while nobody waits for a batch.

    It raises wherever the main thread is when a worker dies: half-way through an optimizer step, too, which would leave
    weights that no checkpoint should hold.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self._handler = handler
        self._wanted = False

    @classmethod
    def watch(cls) -> "_DeathOfWorkers | None":
        """Set torch's handler, as its first loader would, and put this around it; None outside the main thread."""
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
        if self._wanted:
            self._wanted = False  # what it raises may keep `raised_here` from doing so
            self._handler(number, frame)
            self._wanted = True

    @contextmanager
    def raised_here(self) -> Iterator[None]:
        """Deaths since the last time, and those that come, raise in this block."""
        self._wanted = True
        try:
            self(signal.SIGCHLD, None)
            yield
        finally:
            self._wanted = False


def _end_this_worker(error: Exception, item: object) -> None:
    os._exit(1)


def _of_no_lost_peer(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What threads of a worker print when they end, unless the main process let go while it fetched a tensor."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)


def _of_the_pin_thread(raised: threading.ExceptHookArgs) -> None:
    """What threads of the main process print when they end, unless it is torch's, which lost a worker: `_next` says."""
    if raised.thread is None or _PIN_THREAD not in raised.thread.name:
        threading.__excepthook__(raised)
