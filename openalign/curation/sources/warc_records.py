"""What one WARC record holds: a page, an image, or the links of a page (WAT)."""

import re
from dataclasses import dataclass

from fastwarc.warc import WarcRecord, WarcRecordType

from openalign.curation.html.page import too_large
from openalign.curation.html.urls import normalise
from openalign.curation.isolation.records import one_record
from openalign.curation.sources.payload import Unreadable, expect_whole, header, parse_http, read_body
from openalign.curation.sources.storage import PathOrUrl
from openalign.curation.sources.wat import ListedPage, read_listed_page
from openalign.data.images.formats import HEAD_BYTES, format_of

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)


@dataclass(frozen=True)
class StoredPage:
    """An HTML page as a crawler stored it."""

    url: str
    body: bytes
    charset: str | None
    """The charset of the HTTP header."""


@dataclass(frozen=True)
class StoredImage:
    """An image, the payload of the record that starts at byte `offset` of the file."""

    url: str
    offset: int


@dataclass(frozen=True)
class OtherRecord:
    """A record that holds neither a page nor an image."""


@dataclass(frozen=True)
class Damage:
    """A record that could not be read; `problem` is the error message."""

    problem: str


Content = StoredPage | StoredImage | ListedPage | OtherRecord | Damage


@one_record
def content_of(record: WarcRecord, file: PathOrUrl, offset: int, page_bytes: int) -> Content:
    """What the record at byte `offset` of a WARC file holds. A WAT record above `page_bytes` counts as damaged."""
    try:
        if record.record_type == WarcRecordType.metadata and header(record, "Content-Type") == "application/json":
            return _listed_page(record, page_bytes)
        if record.record_type not in (WarcRecordType.response, WarcRecordType.resource):
            return OtherRecord()
        url = normalise(_target(record))
        parse_http(record)
        if url is None or not _succeeded(record):
            return OtherRecord()
        return _page_or_image(record, url, offset)
    except (OSError, Unreadable) as error:
        return Damage(record_message(file, offset, str(error)))


def _target(record: WarcRecord) -> str:
    """The URL of a record, without the angle brackets that wget and the examples of WARC/1.0 put around it."""
    target: str = (record.headers.get("WARC-Target-URI") or "").strip()
    return target[1:-1].strip() if target.startswith("<") and target.endswith(">") else target


def _listed_page(record: WarcRecord, page_bytes: int) -> Content:
    body = read_body(record)
    if len(body) > page_bytes:
        raise Unreadable(too_large(page_bytes))
    return read_listed_page(body) or OtherRecord()


def _page_or_image(record: WarcRecord, url: str, offset: int) -> Content:
    """Distinguish pages from images by their first bytes; of an image only those are copied."""
    declared = header(record, "Content-Type")
    media_type = declared.partition(";")[0].strip().lower()
    encoded = bool(header(record, "Transfer-Encoding") or header(record, "Content-Encoding"))
    start = read_body(record) if encoded else record.reader.read(HEAD_BYTES)
    if format_of(start) is not None or media_type.startswith("image/"):
        if not encoded:
            expect_whole(record, len(start) + record.reader.consume())
        return StoredImage(url, offset)
    if media_type in _HTML_TYPES or _HTML_START.match(start):
        charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", declared, re.IGNORECASE)
        return StoredPage(url, start if encoded else start + read_body(record, len(start)), charset and charset[1])
    return OtherRecord()


def _succeeded(record: WarcRecord) -> bool:
    return not record.is_http or 200 <= (record.http_headers.status_code or 0) < 300


def record_message(file: PathOrUrl, offset: int, reason: str) -> str:
    """The error message about the record at byte `offset`."""
    return f"{file}, record at byte {offset}: {reason[:1].lower()}{reason[1:]}."
