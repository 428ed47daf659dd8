"""Middleware between network and service: who is answered, the size of requests, security headers."""

import asyncio
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openalign.options import called_options
from openalign.serve.protection.access import Access
from openalign.serve.wire import failed

MAX_BODY = 20 * 1024 * 1024
"""Largest request body in bytes: an image and its query."""
MAX_BODIES = 256 * 1024 * 1024
"""Of all requests together, so that memory has a bound however many are sent at once."""
TOO_LARGE = f"The upload is larger than {MAX_BODY // 1024**2} MB; send a smaller image."
TOO_MANY = "The service has too many uploads in work; send this one again later."
NOT_UTF8 = "The service reads UTF-8 only; leave `charset` out of the header Content-Type."
FAILED = "The service failed on this request; see its log."
ENDING = "The service is shutting down."

_CHARSET_UTF8 = re.compile(rb';\s*charset="?utf-?8"?\s*(?=;|\n|$)')

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """ASGI middleware: refuses what `access` refuses and bodies above `MAX_BODY` before they are stored.

    Every answer gets `HEADERS`, also those to requests on which the service fails.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send)
        if (refusal := self._access.refusal(scope)) is not None:
            await answer.refuse(refusal.status, refusal.message, refusal.headers)
            return
        if not _in_utf8(scope):
            await answer.refuse(415, NOT_UTF8)
            return
        body = _Body(self, receive)
        try:
            if _announced(scope) > MAX_BODY:
                raise _TooLarge
            with called_options():
                await self.app(scope, body.receive, answer.send)
        except _TooLarge:
            await answer.refuse(413, TOO_LARGE)
        except _TooMany:
            await answer.refuse(503, TOO_MANY, {"retry-after": "5"})
        except asyncio.CancelledError:  # by the server, when the time for shutting down is over
            await answer.refuse(503, ENDING, {"retry-after": "5"})
        except Exception:  # here, because Starlette's own answer has no `HEADERS`
            await answer.refuse(500, FAILED)
            raise  # for the server to log it
        finally:
            self._held -= body.received

    def hold(self, size: int) -> None:
        """Count `size` more bytes of bodies, until their requests end."""
        self._held += size
        if self._held > MAX_BODIES:
            raise _TooMany


class _Body:
    """The body of a request, counted as it comes."""

    def __init__(self, guard: Guard, receive: Receive) -> None:
        self.received = 0
        self._guard = guard
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        self.received += size
        self._guard.hold(size)
        if self.received > MAX_BODY:
            raise _TooLarge
        return message


class _Answer:
    """The answer to a request, with `HEADERS`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        """Answer with an error, unless an answer has begun."""
        if not self._started:
            await failed(self._scope, status, message, headers)(self._scope, self._receive, self.send)


class _TooLarge(BaseException):
    """A BaseException, because the application's handlers turn every `Exception` into a response."""


class _TooMany(BaseException):
    """Likewise."""


def _in_utf8(scope: Scope) -> bool:
    """Whether the body is in UTF-8, so far as its headers say another encoding.

    Of a form, Starlette decodes the fields with whichever codec of Python's the client names: `punycode` takes minutes
    for a megabyte, and `unicode_escape` makes half surrogate pairs.
    """
    types = b"\n".join(value for name, value in scope["headers"] if name == b"content-type").lower()
    return types.count(b"charset") == len(_CHARSET_UTF8.findall(types))


def _announced(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0
