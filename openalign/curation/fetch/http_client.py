"""HTTP as a stranger's server should be asked: public addresses only, bounded redirects, robots.txt obeyed."""

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
_LONGEST_URL = 8192  # characters; few servers take more, and the rules of a robots.txt are searched for in all of it
_LONGEST_REASON = 300  # characters
_MOST_RULES = 32 << 20  # characters of all robots.txt that are kept: 1.6 GB at worst, and 30,000 sites of usual ones
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """This address will not do, now or later."""


class Failed(Exception):
    """It did not work this time. `wait`: seconds that the server asks for; `again`: whether to try once more at all."""

    def __init__(self, reason: str, wait: float | None = None, again: bool = True) -> None:
        super().__init__(reason)
        self.wait = wait
        self.again = again


def reason_of(error: Exception) -> str:
    """What an exception says, as a short phrase that can be printed and stored, whatever a server put into it."""
    expected = isinstance(error, (Refused, Failed, OSError, aiohttp.ClientError, ValueError))
    said = str(error) if expected else f"{type(error).__name__}: {error}"
    plain = "".join(letter if letter.isprintable() else " " for letter in said[: 2 * _LONGEST_REASON])
    return " ".join(plain.split())[:_LONGEST_REASON] or type(error).__name__


class PublicResolver(AbstractResolver):
    """Resolves names and refuses those that lead into private networks.

    The connector uses the very addresses that are checked here, so a name cannot be changed in between.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            if not is_public(each["host"]):
                raise Refused(f"{host} leads to {each['host']}, which is not a public address")
        return found

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """Tell whether an IP address is on the public internet, also behind IPv6 forms that wrap an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = wrapped or ip
    return ip.is_global and not ip.is_multicast


def refuse_private_literal(url: URL) -> None:
    """Raise Refused where the host is written as an IP address, in any of its forms, that is not public."""
    host = url.host or ""
    try:
        # inet_aton reads what browsers and the C library do: 127.1, 0x7f000001, 2130706433.
        address = host if ":" in host else str(ipaddress.IPv4Address(socket.inet_aton(host)))
    except OSError:
        return
    if not is_public(address):
        raise Refused(f"{host} is not a public address")


@asynccontextmanager
async def follow(
    session: aiohttp.ClientSession, url: URL, permit: Callable[[URL], Awaitable[None]], redirects: int
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET `url` and what it redirects to, at most `redirects` times; every address on the way must pass `permit`."""
    for _ in range(redirects + 1):
        if len(str(url)) > _LONGEST_URL:
            raise Refused(f"a URL of more than {_LONGEST_URL:,} characters")
        await permit(url)
        async with session.get(url, allow_redirects=False) as response:
            if response.status not in (301, 302, 303, 307, 308):
                yield response
                return
            target = resolve(str(url), response.headers.get("Location", ""))
        if target is None:
            raise Refused(f"HTTP {response.status} leads to no address")
        url = URL(target, encoded=True)
    raise Refused(f"more than {redirects} redirects")


def refuse_opted_out(response: aiohttp.ClientResponse) -> None:
    """Raise Refused where X-Robots-Tag keeps the answer from machine learning, for everyone or for us by name."""
    for value in response.headers.getall("X-Robots-Tag", []):
        named = "*"
        for part in value.lower().split(","):
            name, colon, rest = part.partition(":")  # a name holds for all directives that follow it
            if colon:
                named = name.strip()
            directive = (rest if colon else part).strip()
            if directive in _OPT_OUT and named in ("*", PRODUCT):
                raise Refused(f"X-Robots-Tag says {directive}")


async def read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, or its first `limit` + 1 bytes where it is longer."""
    body = bytearray()
    async for piece in response.content.iter_chunked(64 << 10):
        body += piece
        if len(body) > limit:
            break
    return bytes(body[: limit + 1])


class Robots:
    """The robots.txt of every site asked. Each is read once, unless those of so many sites do not fit into memory."""

    def __init__(self, session: aiohttp.ClientSession, redirects: int, seconds: float, allow_private: bool) -> None:
        self._session = session
        self._redirects = redirects
        self._seconds = seconds
        self._allow_private = allow_private
        self._reading: dict[URL, asyncio.Task[SiteRules | Refused | Failed]] = {}
        self._known: OrderedDict[URL, SiteRules | Refused | Failed] = OrderedDict()  # the least recently used first
        self._size = 0

    async def permit(self, url: URL) -> None:
        """Raise Refused if this address must not be asked for, Failed if that cannot be found out."""
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
            self._reading[site] = asyncio.create_task(self._learn(site))
        # Shielded, because all requests to the site share the task: one that gives up must not take it along.
        return await asyncio.shield(self._reading[site])

    async def _learn(self, site: URL) -> SiteRules | Refused | Failed:
        """Read the rules of a site and keep them, and forget others where all are too many."""
        rules = await self._read(site)
        del self._reading[site]
        self._known[site] = rules
        self._size += _size_of(rules)
        while self._size > _MOST_RULES:
            _, forgotten = self._known.popitem(last=False)
            self._size -= _size_of(forgotten)
        return rules

    async def _permit_host(self, url: URL) -> None:
        if not self._allow_private:
            refuse_private_literal(url)

    async def _read(self, site: URL) -> SiteRules | Refused | Failed:
        """The rules, or why there are none: asyncio would log an exception of a task for which nobody waits any more.

        Without the file everything is allowed; where the server cannot say, nothing is (RFC 9309, section 2.3.1).
        """
        try:
            async with (
                asyncio.timeout(self._seconds),
                follow(self._session, site / "robots.txt", self._permit_host, self._redirects) as response,
            ):
                if response.status >= 500 or response.status == 429:
                    return Failed(f"robots.txt of {site.host}: HTTP {response.status}", again=False)
                if response.status != 200:
                    return parse_robots(b"", PRODUCT)
                return parse_robots(await read_at_most(response, ROBOTS_BYTES), PRODUCT)
        except Refused as refusal:
            return refusal
        except TimeoutError:
            return Failed(f"robots.txt of {site.host}: no answer", again=False)
        except Exception as error:  # whatever one site sends is its own failure
            return Failed(f"robots.txt of {site.host}: {reason_of(error)}", again=False)


def _size_of(rules: SiteRules | Refused | Failed) -> int:
    return rules.size if isinstance(rules, SiteRules) else 0
