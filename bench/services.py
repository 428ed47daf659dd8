"""Services that a script starts, and what it asks them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_START_S = 300
Request = tuple[str, str, dict[str, Any] | None]
"""Method, path and JSON of the body."""


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def service(
    command: Sequence[str], port: int, ask: Request, environment: Mapping[str, str] | None = None
) -> "Iterator[tuple[subprocess.Popen[bytes], float]]":
    """The process of a service, and the seconds from its start to its first answer to `ask`."""
    began = time.perf_counter()
    started = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
    )
    try:
        while not _answers(port, ask):
            if started.poll() is not None or time.perf_counter() - began > _START_S:
                raise SystemExit(f"{json.dumps(list(command))} does not start.")
            time.sleep(0.01)
        yield started, time.perf_counter() - began
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()


def send(connection: http.client.HTTPConnection, ask: Request) -> bytes:
    """The body of an answer, which must have status 200."""
    method, path, content = ask
    body = None if content is None else json.dumps(content)
    connection.request(method, path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    read = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path} answers {answer.status}: {read[:300]!r}")
    return read


def load(port: int, ask: Callable[[int], Request], clients: int, requests: int) -> tuple[list[float], float]:
    """Milliseconds of each of `requests` answers, and seconds of all: each client asks when it has its answer.

    A client is a thread with one connection; `ask` gives the request with a number.
    """
    milliseconds: list[float] = []

    def run(numbers: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in numbers:
            began = time.perf_counter()
            send(connection, ask(number))
            milliseconds.append(1000 * (time.perf_counter() - began))
        connection.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=run, args=[range(client, requests, clients)]) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(milliseconds) != requests:
        raise SystemExit("A client failed; see above.")
    return milliseconds, time.perf_counter() - began


def resident_mb(process: int) -> dict[str, float]:
    """Memory of a process: resident in all, its own, and pages of mapped files, which the kernel may drop."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    fields = {"resident": "VmRSS", "own": "RssAnon", "mapped": "RssFile"}
    return {name: int(status.split(f"{field}:")[1].split()[0]) / 1024 for name, field in fields.items()}


def _answers(port: int, ask: Request) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        send(connection, ask)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
