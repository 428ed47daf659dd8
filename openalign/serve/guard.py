"""Middleware between network and service: limits the size of requests and adds security headers."""

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 20 * 1024 * 1024
"""Largest request body in bytes: an image and its query."""
TOO_LARGE = f"The upload is larger than {MAX_BODY // 1024**2} MB; send a smaller image."

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
NOT_LOCAL = "This service accepts requests to localhost only; a proxy in front of it must send `Host: localhost`."
NOT_OURS = (
    "This service accepts requests from its own page only, not from pages of another host; a proxy in front of it must "
    "remove the header `Origin`."
)


class Guard:
    """ASGI middleware: refuses bodies above `MAX_BODY` before they are stored, and adds `HEADERS`.

    With `hosts`, requests for another host are refused: otherwise a web page whose name resolves to 127.0.0.1 (DNS
    rebinding) could read the user's images through the browser. So are requests that a browser sends on behalf of a
    page of another host (`Origin`): they would keep the model busy.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = None) -> None:
        self.app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False
        received = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise _TooLarge
            return message

        if self._hosts is not None and _host(scope) not in self._hosts:
            await JSONResponse({"error": NOT_LOCAL}, 421)(scope, receive, send_with_headers)
            return
        if self._hosts is not None and any(origin not in self._hosts for origin in _origins(scope)):
            await JSONResponse({"error": NOT_OURS}, 403)(scope, receive, send_with_headers)
            return
        try:
            if _announced(scope) > MAX_BODY:
                raise _TooLarge
            await self.app(scope, counted, send_with_headers)
        except _TooLarge:
            if not started:
                await JSONResponse({"error": TOO_LARGE}, 413)(scope, receive, send_with_headers)


class _TooLarge(BaseException):
    """A BaseException, because the application's handlers turn every `Exception` into a response."""


def _host(scope: Scope) -> str:
    """The `Host` of a request without its port, in lower case."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return _without_port(headers.get(b"host", b""))


def _origins(scope: Scope) -> list[str]:
    """The hosts of a request's `Origin` headers; "null" where the browser withholds it."""
    return [_without_port(value.rpartition(b"://")[2]) for name, value in scope["headers"] if name == b"origin"]


def _without_port(value: bytes) -> str:
    host = value.decode("latin-1").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _announced(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0
