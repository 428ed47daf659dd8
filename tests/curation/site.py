"""A site on loopback that answers badly in many ways, and counts what it was asked for."""

import asyncio
import gzip
import ssl
import struct
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import cache

from aiohttp import web

JPEG = b"\xff\xd8\xff\xe0" + bytes(2000)
OPTED_OUT = {
    "noai.jpg": ["noindex, NoAI"],
    "noimageai.jpg": ["all", "noimageai"],
    "named.jpg": ["otherbot: noindex, noai", "openalign: noai"],
    "others.jpg": ["otherbot: noindex, noai"],
}


@cache
def gzip_bomb() -> bytes:
    """Made when it is asked for, since every test process imports this module."""
    return gzip.compress(JPEG + bytes(50 << 20))


def png_bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels, all black: 2.7 GB in 3.5 MB."""
    packer = zlib.compressobj(9, wbits=-15)
    line = packer.compress(bytes(90_001)) + packer.flush(zlib.Z_FULL_FLUSH)  # may be repeated as it is
    adler = struct.pack(">HH", 30_000 * 90_001 % 65_521, 1)
    data = b"\x78\xda" + 30_000 * line + b"\x03\x00" + adler
    chunks = {b"IHDR": struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0), b"IDAT": data, b"IEND": b""}
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


class Server:
    """The site, in a thread of its own; over TLS where it is given a certificate."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}  # answered as they are
        self._tls = tls
        self.asked: Counter[str] = Counter()
        self.at_once = 0
        self.most_at_once = 0
        self.stalls_after = 10_000  # requests; later ones for many*.jpg get no answer
        self.busy = 1  # times that busy.jpg is not to be had
        self.robots = "User-agent: *\nDisallow: /secret/\n"
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        name = request.path[1:]
        if name == "robots.txt":
            return web.Response(text=self.robots)
        if name in self.files:
            return web.Response(body=self.files[name])
        if name in REDIRECTS:
            raise REDIRECTS[name]()
        if name in OPTED_OUT:
            return web.Response(body=JPEG, headers=[("X-Robots-Tag", value) for value in OPTED_OUT[name]])
        if name.startswith("many"):
            return await self._answer_many()
        if name == "slow.jpg":
            await asyncio.sleep(3)
        if name == "busy.jpg" and self.asked[request.path] <= self.busy:
            return web.Response(status=503, headers={"Retry-After": "0"})
        if name in ("one.jpg", "slow.jpg", "busy.jpg", "secret/a.jpg"):
            return web.Response(body=JPEG, content_type="image/jpeg")
        if name in ODD_ANSWERS:
            return ODD_ANSWERS[name]()
        raise web.HTTPNotFound

    async def _answer_many(self) -> web.StreamResponse:
        if sum(self.asked.values()) > self.stalls_after:
            await asyncio.sleep(60)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.02)
        self.at_once -= 1
        return web.Response(body=JPEG)


REDIRECTS: dict[str, Callable[[], web.HTTPRedirection]] = {
    "loop": lambda: web.HTTPFound("/loop"),
    "moved.jpg": lambda: web.HTTPMovedPermanently("/one.jpg"),
    "to-secret": lambda: web.HTTPFound("/secret/a.jpg"),
    "to-file": lambda: web.HTTPFound("file:///etc/passwd"),
    "to-loopback": lambda: web.HTTPFound("http://127.0.0.2/one.jpg"),
    "to-metadata": lambda: web.HTTPFound("http://169.254.169.254/latest/"),
}
ODD_ANSWERS: dict[str, Callable[[], web.StreamResponse]] = {
    "html.jpg": lambda: web.Response(body=b"<html>an error page</html>", content_type="image/jpeg"),
    "octets": lambda: web.Response(body=JPEG, content_type="application/octet-stream"),
    "large.jpg": lambda: web.Response(body=JPEG + bytes(200_000)),
    "endless.jpg": lambda: web.Response(body=chunks()),
    "bomb.jpg": lambda: web.Response(
        body=gzip_bomb(), headers={"Content-Encoding": "gzip", "Content-Type": "image/jpeg"}
    ),
    "short.jpg": lambda: CutOff(),
    "much-too-busy.jpg": lambda: web.Response(status=429, headers={"Retry-After": "3600"}),
}


class CutOff(web.Response):
    """Promises more than it sends."""

    async def prepare(self, request: web.BaseRequest) -> None:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + JPEG)
        request.transport.close()

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def chunks() -> AsyncIterator[bytes]:
    while True:
        yield JPEG
        await asyncio.sleep(0)
