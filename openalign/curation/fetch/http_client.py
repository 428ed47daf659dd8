"""HTTP requests to unknown servers: public IP addresses only, bounded redirects, robots.txt obeyed."""

import asyncio
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from openalign.curation.fetch.robots import ROBOTS_BYTES, SiteRules, parse_robots
from openalign.curation.html.urls import resolve

PRODUCT = "openalign"
USER_AGENT = f"{PRODUCT}/0.1"
_OPT_OUT = ("noai", "noimageai")
_MAX_URL = 8192  # characters; few servers accept more, and matching robots.txt rules takes time in its length
_MAX_REASON = 300  # characters
_MAX_RULES = 32 << 20  # characters of all cached robots.txt: 1.6 GB at worst; about 30,000 usual sites
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """This URL cannot be used, now or later."""


class Failed(Exception):
    """A request failed. `retry_after`: seconds that the server asks to wait; `can_retry`: whether to retry at all."""

    def __init__(self, reason: str, retry_after: float | None = None, can_retry: bool = True) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.can_retry = can_retry


def reason_of(error: Exception) -> str:
    """The message of an exception as a short printable phrase, whatever a server put into it."""
    expected = isinstance(error, (Refused, Failed, OSError, aiohttp.ClientError, ValueError))
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    plain = "".join(letter if letter.isprintable() else " " for letter in message[: 2 * _MAX_REASON])
    return " ".join(plain.split())[:_MAX_REASON] or type(error).__name__


class PublicResolver(AbstractResolver):
    """Resolves host names and refuses those with an IP address in a private network.

    The connector uses the addresses checked here, so DNS cannot change in between.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            if not is_public(each["host"]):
                raise Refused(f"{host} resolves to {each['host']}, which is not a public address")
        return found

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet; IPv4 addresses wrapped in IPv6 are unwrapped."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = wrapped or ip
    return ip.is_global and not ip.is_multicast


def refuse_private_literal(url: URL) -> None:
    """Raise Refused if the host is an IP address, in any notation, that is not public."""
    host = url.host or ""
    try:
        # inet_aton accepts the notations of browsers and the C library: 127.1, 0x7f000001, 2130706433.
        address = host if ":" in host else str(ipaddress.IPv4Address(socket.inet_aton(host)))
    except OSError:
        return
    if not is_public(address):
        raise Refused(f"{host} is not a public address")


@asynccontextmanager
async def follow(
    session: aiohttp.ClientSession, url: URL, permit: Callable[[URL], Awaitable[None]], redirects: int
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET `url`, following at most `redirects` redirects; `permit` is called with every URL before its request."""
    for _ in range(redirects + 1):
        if len(str(url)) > _MAX_URL:
            raise Refused(f"a URL of more than {_MAX_URL:,} characters")
        await permit(url)
        async with session.get(url, allow_redirects=False) as response:
            if response.status not in (301, 302, 303, 307, 308):
                yield response
                return
            target = resolve(str(url), response.headers.get("Location", ""))
        if target is None:
            raise Refused(f"HTTP {response.status} redirects to no valid URL")
        url = URL(target, encoded=True)
    raise Refused(f"more than {redirects} redirects")


def refuse_opted_out(response: aiohttp.ClientResponse) -> None:
    """Raise Refused if X-Robots-Tag forbids machine learning, for all user agents or for ours."""
    for value in response.headers.getall("X-Robots-Tag", []):
        named = "*"
        for part in value.lower().split(","):
            name, colon, rest = part.partition(":")  # a name applies to all directives after it
            if colon:
                named = name.strip()
            directive = (rest if colon else part).strip()
            if directive in _OPT_OUT and named in ("*", PRODUCT):
                raise Refused(f"X-Robots-Tag: {directive}")


async def read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, cut after `limit` + 1 bytes."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 << 10):
        body += chunk
        if len(body) > limit:
            break
    return bytes(body[: limit + 1])


class Robots:
    """The robots.txt of each requested site, cached up to `_MAX_RULES`."""

    def __init__(self, session: aiohttp.ClientSession, redirects: int, seconds: float, allow_private: bool) -> None:
        self._session = session
        self._redirects = redirects
        self._seconds = seconds
        self._allow_private = allow_private
        self._reading: dict[URL, asyncio.Task[SiteRules | Refused | Failed]] = {}
        self._known: OrderedDict[URL, SiteRules | Refused | Failed] = OrderedDict()  # least recently used first
        self._size = 0

    async def permit(self, url: URL) -> None:
        """Raise Refused if this URL must not be requested, Failed if that cannot be determined."""
        await self._permit_host(url)
        site = url.origin()
        rules = await self._rules_of(site)
        if isinstance(rules, Exception):
            raise rules.with_traceback(None)
        if not rules.allow(str(url)):
            raise Refused(f"robots.txt of {site.host} forbids it")

    async def _rules_of(self, site: URL) -> SiteRules | Refused | Failed:
        if site in self._known:
            self._known.move_to_end(site)
            return self._known[site]
        if site not in self._reading:
            self._reading[site] = asyncio.create_task(self._fetch_rules(site))
        # Shielded because all requests to the site share the task: one that times out must not cancel it.
        return await asyncio.shield(self._reading[site])

    async def _fetch_rules(self, site: URL) -> SiteRules | Refused | Failed:
        """Fetch and cache the rules of a site; evict others if the cache is too large."""
        rules = await self._read(site)
        del self._reading[site]
        self._known[site] = rules
        self._size += _size_of(rules)
        while self._size > _MAX_RULES:
            _, evicted = self._known.popitem(last=False)
            self._size -= _size_of(evicted)
        return rules

    async def _permit_host(self, url: URL) -> None:
        if not self._allow_private:
            refuse_private_literal(url)

    async def _read(self, site: URL) -> SiteRules | Refused | Failed:
        """The rules, or the error as a value: asyncio would log the exception of a task that nobody awaits.

        Without robots.txt everything is allowed; if the server fails, nothing is (RFC 9309, section 2.3.1).
        """
        try:
            async with (
                asyncio.timeout(self._seconds),
                follow(self._session, site / "robots.txt", self._permit_host, self._redirects) as response,
            ):
                if response.status >= 500 or response.status == 429:
                    return Failed(f"robots.txt of {site.host}: HTTP {response.status}", can_retry=False)
                if response.status != 200:
                    return parse_robots(b"", PRODUCT)
                return parse_robots(await read_at_most(response, ROBOTS_BYTES), PRODUCT)
        except Refused as refusal:
            return refusal
        except TimeoutError:
            return Failed(f"robots.txt of {site.host}: no response", can_retry=False)
        except Exception as error:  # whatever a site sends concerns only that site
            return Failed(f"robots.txt of {site.host}: {reason_of(error)}", can_retry=False)


def _size_of(rules: SiteRules | Refused | Failed) -> int:
    return rules.size if isinstance(rules, SiteRules) else 0
