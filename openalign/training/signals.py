"""Ctrl-C, SIGTERM and SIGHUP as a request to stop, handled between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from openalign.progress import log


@contextmanager
def stop_signals() -> Iterator[Event]:
    """An event that the first Ctrl-C, SIGTERM or SIGHUP sets; a second Ctrl-C interrupts at once.

    SIGHUP, sent when the terminal closes, stays ignored if it is, as under `nohup`.
    """
    requested = Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]

    def request(number: int, frame: object) -> None:
        requested.set()
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        log.info("Stopping after this step, with a checkpoint; Ctrl-C again stops at once.")

    for number in before:
        signal.signal(number, request)
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
