"""Who is answered: allowed host names, pages of other hosts, the key, and the rate of a client."""

import hashlib
import hmac
import ipaddress
import math
import re
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.types import Scope

from openalign.errors import UsageError
from openalign.options import option
from openalign.serve.links import Links

KEY_VARIABLE = "OPENALIGN_API_KEY"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
NOT_OURS = (
    "This service accepts requests from its own page only, not from pages of another host; a proxy in front of it must "
    "remove the header `Origin`."
)
NO_KEY = "This service needs a key: send it as `Authorization: Bearer KEY` or as `X-Api-Key: KEY`."
WRONG_KEY = "The key is not the one of this service."
_SHORTEST_KEY = 8
_OPEN = ("/health", "/", "/favicon.ico")
"""Answered without the key, and the page's own files: a page that asks for the key cannot need it."""
_PICTURE = re.compile(r"/(?:api/)?(?:images|thumbnails)/([0-9]{1,18})")
_WORK = re.compile(r"/(?:api/)?(?:search|listing|classify|embed)|/v1/embeddings")
_BURST_SECONDS = 5
_MOST_CLIENTS = 10_000


@dataclass(frozen=True)
class Refusal:
    """The answer to a request that is not let in."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


class Access:
    """Decides from the head of a request whether it is answered.

    Args:
        hosts: names that the `Host` of a request may have, in lower case; None accepts every one and checks no origin.
            Without them a web page whose name resolves to this machine (DNS rebinding) could read the user's images
            through the browser, and any page could keep the model busy.
        addresses: whether `Host` may be any IP address: a rebound name is never one.
        key: required of every request but those for the page's own files and `/health`.
        rate: requests a second that need the model, for each client address, `_BURST_SECONDS` of them at once.
    """

    def __init__(
        self,
        hosts: Collection[str] | None = None,
        *,
        addresses: bool = False,
        key: str | None = None,
        rate: float | None = None,
    ) -> None:
        self.hosts = hosts
        self.key = None if key is None else _usable(key)
        self.links = Links(self.key)
        self._addresses = addresses
        self._rate = None if rate is None else _Rate(rate)
        self._advice = _advice()  # now: whoever reads it in an answer has to tell the one who started the service

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why the request is not answered; None if it is."""
        headers = _headers(scope)
        return self._foreign(scope, headers) or self._without_key(scope, headers) or self._too_often(scope)

    def _foreign(self, scope: Scope, headers: "dict[bytes, list[bytes]]") -> Refusal | None:
        if self.hosts is None:
            return None
        names = [without_port(value) for value in headers.get(b"host", [b""])]
        if len(names) != 1 or not self._known(names[0]):
            return Refusal(421, f"This service accepts requests to {_listed(self.hosts)} only; {self._advice}")
        origins = [without_port(value.rpartition(b"://")[2]) for value in headers.get(b"origin", [])]
        if any(origin not in (*self.hosts, names[0]) for origin in origins):
            return Refusal(403, NOT_OURS)
        # Browsers send no `Origin` for the images and scripts of a page. A link to the page itself may be followed.
        if headers.get(b"sec-fetch-site") == [b"cross-site"] and scope["path"] != "/":
            return Refusal(403, NOT_OURS)
        return None

    def _known(self, name: str) -> bool:
        assert self.hosts is not None
        return name in self.hosts or (self._addresses and _is_address(name))

    def _without_key(self, scope: Scope, headers: "dict[bytes, list[bytes]]") -> Refusal | None:
        path = scope["path"]
        if self.key is None or path in _OPEN or path.startswith("/static/") or self._is_signed(scope):
            return None
        given = [value.strip() for value in headers.get(b"x-api-key", [])]
        for value in headers.get(b"authorization", []):
            kind, _, token = value.partition(b" ")
            given += [token.strip()] if kind.lower() == b"bearer" else []
        if not given:
            return Refusal(401, NO_KEY, {"www-authenticate": 'Bearer realm="openalign"'})
        if all(_equal(each, self.key.encode()) for each in given):
            return None
        return Refusal(401, WRONG_KEY, {"www-authenticate": 'Bearer realm="openalign", error="invalid_token"'})

    def _is_signed(self, scope: Scope) -> bool:
        """Whether this is the URL of an image as an answer to a request with the key had it."""
        picture = _PICTURE.fullmatch(scope["path"])
        if picture is None or scope["method"] not in ("GET", "HEAD"):
            return False
        values = parse_qs(scope["query_string"].decode("latin-1"))
        version, signature = values.get("v", [""])[0], values.get("s", [""])[0]
        return _equal(signature.encode(), self.links.signature(int(picture[1]), version).encode())

    def _too_often(self, scope: Scope) -> Refusal | None:
        if self._rate is None or _WORK.fullmatch(scope["path"]) is None:
            return None
        client = scope["client"][0] if scope.get("client") else ""
        seconds = self._rate.wait(_network(client))
        if not seconds:
            return None
        message = f"This service takes {self._rate.rate:g} requests a second of a client; send this one again later."
        return Refusal(429, message, {"retry-after": str(math.ceil(seconds))})


class _Rate:
    """A token bucket for each client; only the clients seen last are kept."""

    def __init__(self, rate: float) -> None:
        if not 0 < rate < math.inf:
            raise UsageError(f"{option('rate')} must be more than 0 requests a second, not {rate:g}.")
        self.rate = rate
        self._most = max(1.0, rate * _BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take a token; or the seconds until there is one."""
        now = time.monotonic()
        tokens, filled = self._buckets.pop(client, (self._most, now))
        tokens = min(self._most, tokens + (now - filled) * self.rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self.rate
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


def without_port(value: bytes) -> str:
    """`localhost:8000` -> `localhost`, in lower case."""
    host = value.decode("latin-1").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _usable(key: str) -> str:
    if len(key) < _SHORTEST_KEY or not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"The key ({KEY_VARIABLE}) must have at least {_SHORTEST_KEY} characters, ASCII without spaces; "
            "`openssl rand -hex 32` makes one."
        )
    return key


def _equal(given: bytes, wanted: bytes) -> bool:
    """In a time that tells neither how much of it is right nor how long it is."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(wanted).digest())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _network(client: str) -> str:
    """The client of an address: of IPv6, a household has 2**64 addresses."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    return client if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, []).append(value)
    return headers


def _listed(hosts: Collection[str]) -> str:
    others = sorted(set(hosts) - set(LOCAL_NAMES))
    return ", ".join(["localhost", *others])


def _advice() -> str:
    return f"a proxy in front of it must send `Host: localhost`, or {option('allow_host')} must name the host."
