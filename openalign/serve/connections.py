"""Connections of the service: how many at once, and how long a client may take over its request and its answer.

uvicorn waits for ever for the rest of a request, and for a client that does not read its answer. Here every wait for a
client has a deadline, and where all connections are taken, the one that has waited longest gives way to a new one.
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
"""Connections that asyncio accepts before it looks at any of them."""
WAITING_FOR_ACCEPT = 128
_FILES_PER_CONNECTION = 3
"""A socket, the temporary file of an upload, and a file of the index."""
_LEAST_CONNECTIONS = 4
_Expected = Literal["head", "body", "answer"]
"""What a client has to do: send the head of a request, send its body, read the answer."""


def raise_open_files() -> int:
    """Raise this process's limit of open files as far as the system lets it, to at most 65,536; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def most_connections(open_files: int) -> int:
    """How many connections this process can have at once, if it may have `open_files` files open."""
    taken = sum(1 for _ in Path("/dev/fd").iterdir())
    return max(_LEAST_CONNECTIONS, min(MOST_CONNECTIONS, (open_files - taken) // _FILES_PER_CONNECTION))


@dataclass
class Connections:
    """The connections of one server, and their limits; give it to uvicorn as `http`."""

    most: int
    head_seconds: float = 20
    """For the request line and the headers, from the connection or the answer before on."""
    body_seconds: float = 120
    """For the body: 20 MB at 1.3 Mbit/s."""
    answer_seconds: float = 300
    """For reading the answer, where the system's buffers do not take all of it at once."""
    waiting: "dict[Connection, asyncio.TimerHandle]" = field(default_factory=dict)
    """Those that wait for their client, the longest wait first."""

    def __call__(self, **settings: Any) -> "Connection":
        return Connection(self, **settings)


class Server(uvicorn.Server):
    """uvicorn's server, which accepts few connections at a time but lets the system keep more of them waiting."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(WAITING_FOR_ACCEPT)


class Connection(H11Protocol):
    """uvicorn's connection, cut off when its client takes too long."""

    def __init__(self, limits: Connections, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._expected: _Expected | None = None
        self._answer_waits = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.most:
            # Where none waits for its client, all are at work, and it is the new one that must go.
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
        self._answer_waits = True
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        super().connection_lost(exc)

    def cut_off(self) -> None:
        """Close the connection at once, with whatever it still had to send."""
        self._expect(None)
        self.transport.abort()

    def _watch(self) -> None:
        """Set the deadline for what the client has to do next; one that is already running stays as it is."""
        if self._answer_waits and not self.flow.write_paused and (self.cycle is None or self.cycle.response_complete):
            self._answer_waits = False  # only now, so that a client which reads a byte a minute has one deadline
        if self._answer_waits or self.transport.is_closing():  # which it does only when all is sent
            self._expect("answer")
        elif self.conn.their_state is h11.IDLE:
            self._expect("head")
        elif self.conn.their_state is h11.SEND_BODY:
            self._expect("body")
        else:  # the request is whole: it is our turn
            self._expect(None)

    def _expect(self, what: _Expected | None) -> None:
        if what == self._expected:
            return
        self._expected = what
        if (timer := self._limits.waiting.pop(self, None)) is not None:
            timer.cancel()
        if what is not None:
            limits = self._limits
            seconds = {"head": limits.head_seconds, "body": limits.body_seconds, "answer": limits.answer_seconds}[what]
            limits.waiting[self] = self.loop.call_later(seconds, self.cut_off)
