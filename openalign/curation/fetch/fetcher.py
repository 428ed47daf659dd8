"""One image URL: requests and retries it, and stores the response if it is an image."""

import asyncio
import email.utils
import hashlib
import time
from pathlib import Path

import aiohttp
from yarl import URL

from openalign.curation.fetch.http_client import (
    Failed,
    Refused,
    Robots,
    follow,
    read_at_most,
    reason_of,
    refuse_opted_out,
)
from openalign.curation.fetch.ledger import Entry, file_of
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.html.urls import normalise
from openalign.data.images.formats import format_of
from openalign.errors import OpenAlignError
from openalign.files import whole_file


class Fetcher:
    """Fetches one URL at a time: requests it, waits, retries, and stores the image."""

    def __init__(self, session: aiohttp.ClientSession, to: Path, settings: FetchSettings, robots: Robots) -> None:
        self._session = session
        self._to = to
        self._settings = settings
        self._robots = robots

    async def fetch(self, url: str) -> Entry:
        """The ledger entry of `url`; whatever fails because of it or its server is the `reason` of the entry.

        Raises OpenAlignError if the image cannot be written.
        """
        for attempt in range(self._settings.fetch_attempts):
            try:
                return self._store(url, await self._request(url))
            except Refused as refusal:
                return Entry(url, "refused", reason_of(refusal))
            except Failed as failure:
                reason = reason_of(failure)
                wait = failure.retry_after if failure.retry_after is not None else 0.5 * 2**attempt
                if (
                    not failure.can_retry
                    or wait > self._settings.fetch_longest_wait
                    or attempt + 1 == self._settings.fetch_attempts
                ):
                    break
            except OpenAlignError:
                raise
            except Exception as error:  # unexpected error of a library
                return Entry(url, "failed", reason_of(error))
            await asyncio.sleep(wait)
        return Entry(url, "failed", reason)

    def _store(self, url: str, body: bytes) -> Entry:
        name = file_of(url)
        try:
            with whole_file(self._to / name, durable=False) as file:  # the next run verifies checksums
                file.write_bytes(body)
        except OSError as error:
            raise OpenAlignError(
                f"{self._to} could not be written: {error.strerror or error}; run the same command again to resume"
            ) from error
        return Entry(url, "kept", None, len(body), hashlib.sha256(body).hexdigest(), name)

    async def _request(self, url: str) -> bytes:
        """The bytes of the image. Raises Refused or Failed for the expected errors."""
        settings = self._settings
        normalised = normalise(url)
        if normalised is None:
            raise Refused("not an http(s) URL")
        try:
            async with (
                asyncio.timeout(settings.fetch_seconds),
                follow(
                    self._session, URL(normalised, encoded=True), self._robots.permit, settings.fetch_redirects
                ) as response,
            ):
                return await _image_of(response, settings.fetch_max_bytes)
        except TimeoutError as error:
            raise Failed(f"no complete response within {settings.fetch_seconds:g} s") from error
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
        raise Refused(f"not an image but {response.content_type}" if body else "empty response")
    return body


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """The seconds of a Retry-After header, which holds seconds or a date; None for anything else."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):  # also dates that `datetime` cannot represent
        return None
