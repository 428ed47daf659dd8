"""Images that are only linked: fetched with limits per host, and so that an interrupted run resumes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import TextIO

import aiohttp
import pyarrow as pa
from aiohttp.abc import AbstractResolver

from openalign.curation.fetch.entries import entry_table, is_settled
from openalign.curation.fetch.fetcher import Fetcher
from openalign.curation.fetch.http_client import USER_AGENT, PublicResolver, Robots
from openalign.curation.fetch.ledger import LEDGER, Entry, join_ledgers, mend_ledger, open_ledger, write_entry
from openalign.curation.fetch.schedule import for_each_by_host, run, run_until
from openalign.curation.fetch.settings import FetchSettings
from openalign.progress import say


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
    """Fetch images into the folder `to` and return a table of `image`, `location`, `problem`, in the order of `urls`.

    `location` (see `sources.locations`) is null if there is a `problem`, a short phrase; no URL raises. The first bytes
    of a response decide whether it is an image, not its Content-Type. The file `ledger` in `to` has one line per URL;
    the image is stored as `to/aa/aab3...` (SHA-256 of the URL). A rerun fetches what is missing, and what failed for a
    reason that may pass.

    `resolver` resolves host names (default: the system's). `settled` is called with the entry of each distinct URL as
    soon as it is known. Another thread can set `stop`: the table then lacks the URLs that were not fetched yet.
    """
    to.mkdir(parents=True, exist_ok=True)
    if ledger == LEDGER:
        join_ledgers(to)
    entries = mend_ledger(to / ledger)
    unsettled = _take_unsettled(urls, entries, to)
    for url in dict.fromkeys(urls):
        if url in entries:
            settled(entries[url])
    if unsettled:

        def record(entry: Entry) -> None:
            entries[entry.image] = entry
            settled(entry)

        with open_ledger(to / ledger) as lines:
            run(_fetch_all(unsettled, to, lines, record, settings, resolver, stop or Event()))
    return entry_table([entries[url] for url in urls if url in entries], to)


def _take_unsettled(urls: Sequence[str], entries: dict[str, Entry], to: Path) -> list[str]:
    """The distinct URLs to be fetched; their old entries are removed from `entries`."""
    unsettled = [url for url in dict.fromkeys(urls) if not is_settled(entries.get(url), to)]
    removed = [entries.pop(url, None) for url in unsettled]
    damaged = sum(entry is not None and entry.file is not None for entry in removed)
    if damaged:
        say(f"{damaged:,} fetched images are missing or damaged: they are fetched again")
    return unsettled


async def _fetch_all(
    urls: Sequence[str],
    to: Path,
    ledger: TextIO,
    settled: Callable[[Entry], None],
    settings: FetchSettings,
    resolver: AbstractResolver | None,
    stop: Event,
) -> None:
    """Fetch `urls`; write each entry to the ledger and pass it to `settled`."""
    resolver = resolver if settings.allow_private_hosts else PublicResolver(resolver)
    connector = aiohttp.TCPConnector(limit=0, resolver=resolver)
    headers = {"User-Agent": USER_AGENT, "Accept": "image/*,*/*;q=0.5"}
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # `fetch_seconds` limits each attempt as a whole
    ) as session:
        robots = Robots(session, settings.fetch_redirects, settings.fetch_seconds, settings.allow_private_hosts)
        fetcher = Fetcher(session, to, settings, robots)

        async def fetch_one(url: str) -> None:
            entry = await fetcher.fetch(url)
            write_entry(ledger, entry)
            settled(entry)

        fetching = for_each_by_host(urls, fetch_one, at_once=settings.fetch_at_once, per_host=settings.fetch_per_host)
        await run_until(stop, fetching)
