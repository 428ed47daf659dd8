"""Images that are only linked: fetched politely, safely, and so that a killed run goes on where it was."""

import asyncio
import email.utils
import hashlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TextIO

import aiohttp
import pyarrow as pa
from aiohttp.abc import AbstractResolver
from yarl import URL

from openalign.checksums import Checksum, checksum_of
from openalign.curation.fetch.http_client import (
    USER_AGENT,
    Failed,
    PublicResolver,
    Refused,
    Robots,
    follow,
    read_at_most,
    reason_of,
    refuse_opted_out,
)
from openalign.curation.fetch.ledger import LEDGER, Entry, file_of, join_ledgers, mend_ledger, open_ledger, write_entry
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.html.urls import host_of, normalise
from openalign.data.images.formats import format_of
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.progress import console

_LOOK_EVERY = 0.1  # seconds between looks at whether to stop


def fetch(
    urls: Sequence[str],
    to: Path,
    *,
    settings: FetchSettings = FetchSettings(),  # noqa: B008 - frozen
    resolver: AbstractResolver | None = None,
    settled: Callable[[Entry], None] = lambda entry: None,
    stop: Event | None = None,
    ledger: str = LEDGER,
) -> pa.Table:
    """Fetch images into the folder `to` and return, in the order of `urls`: `image`, `location`, `problem`.

    `location` (`file://PATH`) is null where there is a `problem`, a short phrase; no single address raises. What a
    file is, its first bytes tell, not its Content-Type. `to/ledger.jsonl`, or the `ledger` given, has a line for each
    address; the image lies in `to/aa/aab3...` (SHA-256 of the address); a rerun fetches only what is missing, or failed
    for reasons that may pass.
    `settings` limits requests; `resolver` looks names up (default: the system's).
    `settled` is told what became of each distinct address as soon as it is known. Another thread can `stop` the
    fetching: addresses that are not settled then are missing from the table.
    """
    to.mkdir(parents=True, exist_ok=True)
    if ledger == LEDGER:
        join_ledgers(to)
    known = mend_ledger(to / ledger)
    wanted, damaged = [], 0
    for url in dict.fromkeys(urls):
        if is_settled(known.get(url), to):
            settled(known[url])
        else:
            gone = known.pop(url, None)
            damaged += gone is not None and gone.file is not None
            wanted.append(url)
    if damaged:
        console.print(f"{damaged:,} fetched images are gone or damaged: they are fetched again")
    if wanted:

        def note(entry: Entry) -> None:
            known[entry.image] = entry
            settled(entry)

        with open_ledger(to / ledger) as lines:
            _run(_fetch_all(wanted, to, lines, note, settings, resolver, stop or Event()))
    entries = [known[url] for url in urls if url in known]
    return pa.table(
        {
            "image": pa.array([entry.image for entry in entries], pa.string()),
            "location": pa.array([location_of(entry, to) for entry in entries], pa.string()),
            "problem": pa.array([entry.reason for entry in entries], pa.string()),
        }
    )


def location_of(entry: Entry, folder: Path) -> str | None:
    """Where the image lies (see `sources.read_image`), the ledger being in `folder`; None where there is none."""
    return f"file://{(folder / entry.file).absolute()}" if entry.file else None


def is_settled(entry: Entry | None, to: Path) -> bool:
    """Whether another run need not ask for it; a file must still be what was fetched."""
    if entry is None or entry.status == "failed":
        return False
    if entry.file is None:
        return True
    try:
        return checksum_of(to / entry.file) == Checksum(entry.bytes, entry.sha256 or "")
    except OSError:
        return False


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end, from a plain script as well as from a notebook, whose own event loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _fetch_all(
    urls: Sequence[str],
    to: Path,
    ledger: TextIO,
    settled: Callable[[Entry], None],
    settings: FetchSettings,
    resolver: AbstractResolver | None,
    stop: Event,
) -> None:
    """Fetch `urls`, tell what became of each, and add it to the ledger."""
    resolver = resolver if settings.allow_private_hosts else PublicResolver(resolver)
    connector = aiohttp.TCPConnector(limit=0, resolver=resolver)
    headers = {"User-Agent": USER_AGENT, "Accept": "image/*,*/*;q=0.5"}
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # `fetch_seconds` covers the whole of each try
    ) as session:
        robots = Robots(session, settings.fetch_redirects, settings.fetch_seconds, settings.allow_private_hosts)
        fetcher = _Fetcher(session, to, settings, robots)

        async def deal_with(url: str) -> None:
            entry = await fetcher.fetch(url)
            write_entry(ledger, entry)
            settled(entry)

        await _unless(stop, _in_turns(urls, deal_with, settings))


async def _unless(stop: Event, work: Coroutine[None, None, None]) -> None:
    """Do the work, or break it off soon after `stop` is set."""
    working = asyncio.ensure_future(work)
    while not (await asyncio.wait([working], timeout=_LOOK_EVERY))[0]:
        if stop.is_set():
            working.cancel()
    if not working.cancelled():
        working.result()


async def _in_turns(urls: Sequence[str], deal_with: Callable[[str], Awaitable[None]], settings: FetchSettings) -> None:
    """Deal with all `urls`, the hosts taking turns: so many at once in all, and so many at once of one host.

    A host has as many turns going round as requests may run to it; who takes one deals with the host's next address.
    """
    waiting: dict[str | None, deque[str]] = {}
    for url in urls:
        waiting.setdefault(host_of(url), deque()).append(url)
    turns = deque(host for _ in range(settings.fetch_per_host) for host in waiting)

    async def take_turns() -> None:
        while turns:
            host = turns.popleft()
            if waiting[host]:
                await deal_with(waiting[host].popleft())
                turns.append(host)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(settings.fetch_at_once, len(turns))):
                group.create_task(take_turns())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


class _Fetcher:
    """One address at a time: tries, waits, tries again, and keeps what is an image."""

    def __init__(self, session: aiohttp.ClientSession, to: Path, settings: FetchSettings, robots: Robots) -> None:
        self._session = session
        self._to = to
        self._settings = settings
        self._robots = robots

    async def fetch(self, url: str) -> Entry:
        """What became of `url`. Whatever it, or its server's answer, makes go wrong is the `reason` of its entry.

        Raises OpenAlignError where the image cannot be written.
        """
        for attempt in range(self._settings.fetch_attempts):
            try:
                return self._keep(url, await self._try(url))
            except Refused as refusal:
                return Entry(url, "refused", reason_of(refusal))
            except Failed as failure:
                reason = reason_of(failure)
                wait = failure.wait if failure.wait is not None else 0.5 * 2**attempt
                if (
                    not failure.again
                    or wait > self._settings.fetch_longest_wait
                    or attempt + 1 == self._settings.fetch_attempts
                ):
                    break
            except OpenAlignError:
                raise
            except Exception as error:  # of a library that met what its authors did not expect
                return Entry(url, "failed", reason_of(error))
            await asyncio.sleep(wait)
        return Entry(url, "failed", reason)

    def _keep(self, url: str, body: bytes) -> Entry:
        name = file_of(url)
        try:
            with whole_file(self._to / name, durable=False) as file:  # a further run checks what it finds
                file.write_bytes(body)
        except OSError as error:
            raise OpenAlignError(
                f"{self._to} could not be written: {error.strerror or error}; mend it, and the same command goes on"
            ) from error
        return Entry(url, "kept", None, len(body), hashlib.sha256(body).hexdigest(), name)

    async def _try(self, url: str) -> bytes:
        """Return the image's bytes. Raises Refused or Failed for what is known to go wrong."""
        settings = self._settings
        address = normalise(url)
        if address is None:
            raise Refused("not an http(s) address")
        try:
            async with (
                asyncio.timeout(settings.fetch_seconds),
                follow(
                    self._session, URL(address, encoded=True), self._robots.permit, settings.fetch_redirects
                ) as response,
            ):
                return await _image_of(response, settings.fetch_max_bytes)
        except TimeoutError as error:
            raise Failed(f"no whole answer within {settings.fetch_seconds:g} s") from error
        except (ValueError, aiohttp.ClientConnectorCertificateError) as error:
            raise Refused(reason_of(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Failed(reason_of(error)) from error


async def _image_of(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if response.status == 429 or response.status >= 500:
        raise Failed(f"HTTP {response.status}", _retry_after(response))
    if response.status != 200:
        raise Refused(f"HTTP {response.status}")
    refuse_opted_out(response)
    too_large = f"larger than {max_bytes / (1 << 20):g} MB"
    if (response.content_length or 0) > max_bytes:
        raise Refused(too_large)
    body = await read_at_most(response, max_bytes)
    if len(body) > max_bytes:
        raise Refused(too_large)
    if format_of(body) is None:
        raise Refused(f"not an image but {response.content_type}" if body else "empty answer")
    return body


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date; None of one that holds neither."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):  # dates that `datetime` does not hold among them
        return None
