"""A pool of processes that never outlive the process that started them, however that one ends."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_USER_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # a terminal sends them to all its processes


class ProcessPool:
    """`count` processes with one thread each, all started immediately.

    They are forked on Linux, which is fast and needs no `if __name__ == "__main__"` guard. Each watches a pipe that
    only this process can write to, and exits when it is closed, by `close` or by the kernel.
    """

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        watched, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(count, context, _start_process, (watched, self._lifeline))
        self._pool.submit(abs, 0).result()  # the first item starts all of them
        watched.close()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Call `function(item)` in one of the processes."""
        return self._pool.submit(function, item)

    def close(self) -> None:
        """End all processes, also busy ones, and wait until they have exited."""
        self._lifeline.close()
        self._pool.shutdown(cancel_futures=True)


def limit_torch_threads() -> None:
    """One thread for torch in this process, whether it is imported already or will be: each core has a process."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def _start_process(watched: Connection, lifeline: Connection) -> None:
    """Ignore the user's signals, which the parent process handles, and exit when the parent does."""
    limit_torch_threads()
    lifeline.close()
    for name in _USER_SIGNALS:
        if hasattr(signal, name):  # Windows lacks some
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, args=(watched,), name="lifeline", daemon=True).start()


def _exit_with_parent(watched: Connection) -> None:
    watched.poll(None)  # nothing is ever sent
    os._exit(1)
