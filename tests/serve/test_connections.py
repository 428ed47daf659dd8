"""Clients that send half a request, or do not read their answer: the others are answered, and nothing is kept for ever.

Every connection here is on loopback, and there are few of them.
"""

import contextlib
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from openalign.serve import log
from openalign.serve.app import server_of
from openalign.serve.log import OnceAMinute, without_repeats
from openalign.serve.protection.connections import Connection, Connections, most_connections, raise_open_files

pytestmark = pytest.mark.slow

LARGE = 20 * 2**20
LONG = 1000
"""Seconds that no test takes."""


async def app(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    request = Request(scope, receive)
    if request.url.path == "/large":
        answer: Response = Response(bytes(LARGE))
    else:
        answer = PlainTextResponse(f"{len(await request.body())} bytes")
    await answer(scope, receive, send)


@contextmanager
def serving(connections: Connections) -> Iterator[int]:
    """The port of a server that runs in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = server_of(app, connections)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(sent)
    return client


def read_all(client: socket.socket) -> bytes:
    """What comes until the connection ends, in whichever way; raises TimeoutError where it does not end."""
    got = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := client.recv(2**20):
            got += part
    return bytes(got)


def ask(port: int, path: str = "/health") -> bytes:
    with connect(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()) as client:
        return read_all(client)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: a",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_a_client_that_keeps_the_server_waiting_is_replaced_by_others(sent):
    with (
        serving(Connections(most=5, head_seconds=LONG, body_seconds=LONG, response_seconds=LONG)) as port,
        ExitStack() as s,
    ):
        clients = [s.enter_context(connect(port, sent)) for _ in range(30)]
        assert b"200 OK" in ask(port)
        for client in clients[:20]:  # cut off: the rest has no place among five
            assert len(read_all(client)) < LARGE


@pytest.mark.parametrize(
    ("which", "sent"),
    [
        ("head_seconds", b""),
        ("head_seconds", b"GET / HT"),
        ("head_seconds", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT"),
        ("body_seconds", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc"),
    ],
)
def test_each_wait_for_a_client_ends_by_its_own_deadline(which, sent):
    limits = {"head_seconds": LONG, "body_seconds": LONG, "response_seconds": LONG} | {which: 0.3}
    with serving(Connections(most=100, **limits)) as port, connect(port, sent) as client:
        assert (b"200 OK" in read_all(client)) == (b"/health" in sent)


def test_single_bytes_do_not_extend_the_deadline():
    limits = Connections(most=100, head_seconds=0.5, body_seconds=LONG, response_seconds=LONG)
    with serving(limits) as port, connect(port, b"GET / HTTP/1.1\r\nX: ") as client, pytest.raises(ConnectionError):
        for _ in range(300):
            client.sendall(b"a")
            time.sleep(0.05)


def test_a_response_that_is_not_read_is_abandoned(monkeypatch):
    given_up = threading.Event()
    cut_off = Connection.cut_off
    monkeypatch.setattr(Connection, "cut_off", lambda self: (cut_off(self), given_up.set()))
    limits = Connections(most=100, head_seconds=LONG, body_seconds=LONG, response_seconds=0.3)
    with serving(limits) as port, connect(port, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
        assert given_up.wait(timeout=60)
        assert len(read_all(client)) < LARGE


def test_a_slow_reader_gets_all_of_a_large_response_past_the_deadline_of_the_next_head():
    limits = Connections(most=100, head_seconds=0.2, body_seconds=0.2, response_seconds=LONG)
    with serving(limits) as port, connect(port, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
        time.sleep(1)
        assert len(read_all(client)) > LARGE


def test_a_connection_serves_several_requests_in_turn():
    with serving(Connections(most=5)) as port, connect(port) as client:
        for size in (0, 5, 100_000):
            client.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
            client.sendall(b"x" * size)
            got = b""
            while f"{size} bytes".encode() not in got:
                part = client.recv(1000)
                assert part
                got += part


def test_the_number_of_connections_depends_on_the_limit_of_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        allowed = raise_open_files()
        assert allowed == resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(512, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert most_connections(65_536) == 1000
    assert most_connections(600) < 200
    assert most_connections(1) == 4


def test_a_repeated_error_is_logged_once_with_the_number_of_repeats(monkeypatch):
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    monkeypatch.setattr(logger, "propagate", False)
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    try:
        with without_repeats():
            for number in range(1000):
                now[0] += 0.1
                logger.error("socket.accept() out of system resource\nsocket: %s", number)
            logger.error("another")
        logger.error("another")
    finally:
        logger.removeHandler(handler)
    assert [line.partition("\n")[0] for line in said] == [
        "socket.accept() out of system resource",
        "socket.accept() out of system resource",
        "another",
        "another",
    ]
    assert said[1].endswith("(599 more of these were not logged)")


def test_errors_of_different_lines_are_different_errors():
    once = OnceAMinute()

    def passes(function) -> bool:
        try:
            function()
        except ValueError as error:
            made = logging.LogRecord(
                "x", logging.ERROR, "", 0, "failed", None, (type(error), error, error.__traceback__)
            )
        return bool(once.filter(made))

    def first() -> None:
        raise ValueError

    def second() -> None:
        raise ValueError

    assert [passes(each) for each in (first, second, first, second)] == [True, True, False, False]
