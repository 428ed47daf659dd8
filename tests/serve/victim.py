"""A service as a process, for clients that mean harm: 4xx or 503, never 500; memory stays; it ends well.

Every request goes to loopback, each loop of them is bounded, and none waits longer than `LONG`.
"""

import contextlib
import io
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests import preloaded

LONG = 60
MEMORY = 600 * 2**20
"""Bytes by which the process may grow: an image of 25 million pixels takes 260 MB for itself while it is decoded."""


@dataclass(frozen=True)
class Victim:
    """A running service."""

    process: "preloaded.Popen"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Bytes of RAM that its process ever had at once."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.fixture(scope="module")
def victim(make_index, tmp_path_factory) -> Iterator[Victim]:
    """One service for all of this file; it must still answer, and end well, when all is over."""
    folder = make_index(tmp_path_factory.mktemp("hostile"))
    command = [sys.executable, "-m", "openalign", "serve", str(folder), "--port", "0"]
    process = preloaded.Popen(command, stderr=subprocess.PIPE)
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", process.stderr.readline())[1])
        running = Victim(process, port)
        before = warmed_up(running)
        yield running
        with connected(running) as client:
            assert client.get("/api/search?text=a+red+apple").status_code == 200
        assert running.memory() - before < MEMORY
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=LONG)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "Exception" not in said


def warmed_up(victim: Victim) -> int:
    """The memory of a service that has answered each kind of request once."""
    with connected(victim) as client:
        assert client.get("/api/search?text=boat").status_code == 200
        assert client.post("/embed", files={"images": picture(64, 64)}).status_code == 200
    return victim.memory()


def connected(victim: Victim) -> httpx.Client:
    """A client of many connections, one a request: one that is kept may be closed while a request is on its way."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.Client(base_url=victim.url, timeout=LONG, limits=limits, verify=False, trust_env=False)


@pytest.fixture
def client(victim) -> Iterator[httpx.Client]:
    with connected(victim) as client:
        yield client


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The address of a server on loopback, and who connected to it."""
    callers: list[tuple[str, int]] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, caller = listening.accept()
                    callers.append(caller)
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", callers
        listening.shutdown(socket.SHUT_RDWR)


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 200).save(out, kind)
    return out.getvalue()


def png_of_zeros(width: int, height: int, rows: int) -> bytes:
    """A PNG that says it has this size; its data are as many rows of zeros, which take a thousandth of their size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(bytes(width * 3 + 1)) for _ in range(rows)) + packed.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def refused(reply: httpx.Response) -> bool:
    """Refused in the service's words, none of which names a folder of this machine."""
    assert "error" in reply.json(), reply.text
    assert "/tmp" not in reply.text and str(Path.home()) not in reply.text
    return 400 <= reply.status_code < 500 or reply.status_code == 503


def raw(victim: Victim, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", victim.port), timeout=LONG) as connection:
        connection.sendall(sent)
        got = bytearray()
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**16):
                got += part
    return bytes(got)
