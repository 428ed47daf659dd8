"""The Python of pytest-xdist's workers: the first loads every library, and the others are forks of it.

`pytest --tx '3*popen//python=.venv/bin/python tests/forked_worker.py'` (see the Makefile) starts three. They end, and
speak with pytest, as workers that are started one by one do, without the seconds of imports that each of those takes.
Each has a server of `preloaded` from the start, which is a fork as well.
"""

import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

from tests import preloaded, preloaded_server  # noqa: E402

CONTROLLER = os.getppid()
ADDRESS = f"\0openalign tests of process {CONTROLLER}"
"""Where the fork server of this run of pytest listens; of Linux's abstract names, which leave no file."""

LOADED = (
    *preloaded_server.LOADED, "aiohttp", "datasets", "emoji", "httpx", "hypothesis.strategies", "ibis.backends.pyspark",
    "onnx", "pillow_heif", "playwright.sync_api", "schemathesis", "setuptools", "warcio.warcwriter", "webdataset",
)  # fmt: skip
"""Every library that tests import."""


def main() -> None:
    """Become a worker: at the first call by loading the libraries, later ones by asking for a fork."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(ADDRESS)
    except OSError:
        hand_over()
    listener.listen()
    os.environ["OMP_NUM_THREADS"] = "1"  # threads would not be in the forks
    preloaded_server.load(LOADED)
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        serve_forks(listener)
    else:
        listener.close()
        os.wait()
    work()


def hand_over() -> NoReturn:
    """Give the streams to a fork, and end: pytest talks with the process that has them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(ADDRESS)
        socket.send_fds(connection, [b"streams"], [0, 1, 2])
        assert connection.recv(64) == b"taken"
    os._exit(0)


def serve_forks(listener: socket.socket) -> None:
    """Fork for each who asks, until pytest has ended; returns in the forks, which have the streams of who asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    pytest_ended = os.pidfd_open(CONTROLLER)
    while pytest_ended not in select.select([listener, pytest_ended], [], [])[0]:
        connection, _ = listener.accept()
        _, streams, _, _ = socket.recv_fds(connection, 64, 3)
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number, file in enumerate(streams):
                os.dup2(file, number)
            for file in (*streams, pytest_ended, listener.detach()):
                os.close(file)
            connection.send(b"taken")
            connection.close()
            return
        connection.close()
        for file in streams:
            os.close(file)
    os._exit(0)


def work() -> NoReturn:
    """Fork the server of `preloaded`, and run what pytest-xdist sends."""
    preloaded.fork_server()
    command = [argument for argument in sys.argv[1:] if argument != "-u"]
    preloaded_server.end(preloaded_server.status_of(command))


if __name__ == "__main__":
    main()
