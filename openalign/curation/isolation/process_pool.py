"""A pool of processes that never outlive the one that started them, however that one ends."""

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

_STOPPED_BY_USERS = ("SIGINT", "SIGTERM", "SIGHUP")  # which go to all processes of a terminal


class Processes:
    """`count` processes with one thread each, all started at once.

    They are forked where that is safe: it costs nothing, and scripts need no `if __name__ == "__main__"`. Each watches
    a pipe that only this process can write to, and exits when that is closed: by `close`, or by the kernel.
    """

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        watched, self._lifeline = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(count, context, _start_process, (watched, self._lifeline))
        self._pool.submit(abs, 0).result()  # the first item starts them all
        watched.close()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Call the function of an item in one of the processes."""
        return self._pool.submit(function, item)

    def close(self) -> None:
        """End all processes, also those that are at work, and wait until they are gone."""
        self._lifeline.close()
        self._pool.shutdown(cancel_futures=True)


def limit_torch_threads() -> None:
    """One thread for torch in this process, whether it is imported already or will be: each core has a process."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def _start_process(watched: Connection, lifeline: Connection) -> None:
    """Leave the user's signals to the process that started this one, and end with it."""
    limit_torch_threads()
    lifeline.close()
    for name in _STOPPED_BY_USERS:
        if hasattr(signal, name):  # Windows has not all of them
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_exit_at_its_end, args=(watched,), name="lifeline", daemon=True).start()


def _exit_at_its_end(watched: Connection) -> None:
    watched.poll(None)  # nothing is ever sent
    os._exit(1)
