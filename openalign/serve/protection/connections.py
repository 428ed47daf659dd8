"""Connection limits: their number, and how long a client may take to send a request and read the response.

uvicorn waits without limit for the rest of a request and for a client that does not read its response. Here every wait
for a client has a deadline, and when all connections are in use, a new one replaces the one that has waited longest.
"""

import asyncio
import resource
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_OPEN_FILES = 65_536
MOST_CONNECTIONS = 1000
ACCEPTED_AT_ONCE = 8
"""Connections that asyncio accepts in a row before it handles any of them."""
WAITING_FOR_ACCEPT = 128
_FILES_PER_CONNECTION = 3
"""A socket, the temporary file of an upload, and a file of the index."""
_LEAST_CONNECTIONS = 4
_Expected = Literal["head", "body", "response"]
"""What the client has to do next: send the head of a request, send its body, read the response."""


def raise_open_files() -> int:
    """Raise this process's limit of open files as far as the system allows, up to 65,536; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def most_connections(open_files: int) -> int:
    """The number of connections that fit into a limit of `open_files` open files."""
    taken = sum(1 for _ in Path("/dev/fd").iterdir())
    return max(_LEAST_CONNECTIONS, min(MOST_CONNECTIONS, (open_files - taken) // _FILES_PER_CONNECTION))


@dataclass
class Connections:
    """The connections of one server and their limits; passed to uvicorn as `http`."""

    most: int
    head_seconds: float = 20
    """For the request line and headers, from the start of the connection or the end of the last response."""
    body_seconds: float = 120
    """For the body: 20 MB at 1.3 Mbit/s."""
    response_seconds: float = 300
    """For reading a response that exceeds the system's buffers."""
    waiting: "dict[Connection, asyncio.TimerHandle]" = field(default_factory=dict)
    """The connections that wait for their client, longest wait first."""

    def __call__(self, **settings: Any) -> "Connection":
        return Connection(self, **settings)


class Server(uvicorn.Server):
    """uvicorn's server, with a longer queue of connections that wait to be accepted."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(WAITING_FOR_ACCEPT)


class Connection(H11Protocol):
    """uvicorn's connection, closed when its client takes too long."""

    def __init__(self, limits: Connections, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._expected: _Expected | None = None
        self._response_pending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.most:
            # If none waits for its client, all are busy, and the new one is refused.
            next(iter(self._limits.waiting), self).cut_off()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._response_pending = True
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        super().connection_lost(exc)

    def cut_off(self) -> None:
        """Close the connection at once and discard unsent data."""
        self._expect(None)
        self.transport.abort()

    def _watch(self) -> None:
        """Set the deadline for what the client has to do next, unless it is already running."""
        complete = self.cycle is None or self.cycle.response_complete
        if self._response_pending and complete and not self.flow.write_paused:
            self._response_pending = False  # only now: a client that reads a byte a minute has one deadline
        if self._response_pending or self.transport.is_closing():  # which starts only when everything is sent
            self._expect("response")
        elif self.conn.their_state is h11.IDLE:
            self._expect("head")
        elif self.conn.their_state is h11.SEND_BODY:
            self._expect("body")
        else:  # the request is complete, and the server has to respond
            self._expect(None)

    def _expect(self, what: _Expected | None) -> None:
        if what == self._expected:
            return
        self._expected = what
        if (timer := self._limits.waiting.pop(self, None)) is not None:
            timer.cancel()
        if what is not None:
            limits = self._limits
            seconds = {"head": limits.head_seconds, "body": limits.body_seconds, "response": limits.response_seconds}
            limits.waiting[self] = self.loop.call_later(seconds[what], self.cut_off)
