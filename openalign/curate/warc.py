"""WARC files: pages and stored images of a crawl, and random access to one stored image."""

import mmap
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from openalign.curate.addresses import normalise
from openalign.curate.payload import Unreadable, expect_whole, header, parse_http, read_body
from openalign.errors import OpenAlignError

_MAGIC_BYTES = 32
_IMAGE_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM.{4}\0\0\0\0|II\*\0|MM\0\*|....ftyp(?:avif|avis|heic|heix|mif1)"
    rb"|\0\0\x01\0[\x01-\xff]\0",
    re.DOTALL,
)
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_GZIP = b"\x1f\x8b\x08"
_WARC = b"WARC/1."


@dataclass(frozen=True)
class StoredPage:
    """An HTML page as a crawler stored it."""

    url: str
    body: bytes
    charset: str | None


@dataclass(frozen=True)
class StoredImage:
    """An image whose bytes lie in the record that starts at byte `offset` of the file."""

    url: str
    offset: int


@dataclass(frozen=True)
class OtherRecord:
    """A record that is neither."""


@dataclass(frozen=True)
class Damage:
    """A record that could not be read, as a sentence."""

    problem: str


Finding = StoredPage | StoredImage | OtherRecord | Damage


def is_warc(path: Path) -> bool:
    """Tell whether the file at `path` is a WARC, by its name or else its first bytes."""
    if path.name.lower().endswith((".warc", ".warc.gz")):
        return True
    with path.open("rb") as stream:
        return stream.read(len(_WARC)) == _WARC


def looks_like_image(head: bytes) -> bool:
    """Tell whether `head`, the first 32 bytes of a file, is how an image of a known raster format starts."""
    return _IMAGE_MAGIC.match(head) is not None


def scan(path: Path) -> Iterator[Finding]:
    """Yield what each record of a WARC file holds, in file order.

    A damaged record becomes a `Damage`, and reading goes on at the next record that can be found.

    Raises OpenAlignError if the file cannot be opened, or is gzipped as a whole.
    """
    try:
        with path.open("rb") as stream:
            empty = True
            for finding in _scan(stream, path):
                empty = False
                yield finding
            if empty:
                yield Damage(f"{path} is empty.")
    except OSError as error:
        raise OpenAlignError(f"{path} could not be opened: {error.strerror or error}.") from error


def _scan(stream: BinaryIO, path: Path) -> Iterator[Finding]:
    """Walk over the records; after damage start anew at the next place where one opens."""
    start: int | None = 0
    unsettled: Damage | None = None  # whether it lies before or in the record after it shows when that one is read
    while start is not None:
        stream.seek(start)
        finding: Finding | None = None
        try:
            for record in ArchiveIterator(stream, parse_http=False):
                if unsettled:
                    yield unsettled
                    unsettled = None
                start = record.stream_pos
                finding = _judge(record, path, stream)
                yield finding
            break
        except OSError as error:
            if finding is None:
                unsettled = None
                yield Damage(_sentence(path, start, str(error)))
            elif not isinstance(finding, Damage):
                unsettled = Damage(_sentence(path, start, f"what follows it is damaged ({error})"))
            start = _next_record(stream, start + 1)
    if unsettled:
        yield unsettled


def read_payload(path: Path, offset: int) -> bytes:
    """Return the HTTP body (content encodings undone) of the record at byte `offset` of a WARC file.

    Raises OpenAlignError if there is no whole record there.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            for record in ArchiveIterator(stream, parse_http=False):
                parse_http(record)
                return read_body(record)
    except (OSError, Unreadable) as error:
        raise OpenAlignError(_sentence(path, offset, str(error))) from error
    raise OpenAlignError(_sentence(path, offset, "the file ends before it"))


def _judge(record: WarcRecord, path: Path, stream: BinaryIO) -> Finding:
    if record.record_type not in (WarcRecordType.response, WarcRecordType.resource):
        return OtherRecord()
    offset = record.stream_pos
    url = normalise(record.headers.get("WARC-Target-URI") or "")
    try:
        parse_http(record)
        if url is None or not _succeeded(record):
            return OtherRecord()
        finding = _content(record, url, offset)
    except (OSError, Unreadable) as error:
        return Damage(_sentence(path, offset, str(error)))
    if isinstance(finding, StoredImage) and not _can_be_reached(stream, offset):
        raise OpenAlignError(
            f"{path} is gzipped as a whole, not record by record, so its images cannot be reached one by one; "
            f"rewrite it with `fastwarc recompress {path} NEW.warc.gz`."
        )
    return finding


def _content(record: WarcRecord, url: str, offset: int) -> Finding:
    """Tell pages from images by their first bytes; of an image no more than those is copied."""
    declared = header(record, "Content-Type")
    kind = declared.partition(";")[0].strip().lower()
    encoded = bool(header(record, "Transfer-Encoding") or header(record, "Content-Encoding"))
    start = read_body(record) if encoded else record.reader.read(_MAGIC_BYTES)
    if looks_like_image(start) or kind.startswith("image/"):
        if not encoded:
            expect_whole(record, len(start) + record.reader.consume())
        return StoredImage(url, offset)
    if kind in _HTML_TYPES or _HTML_START.match(start):
        charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", declared, re.IGNORECASE)
        return StoredPage(url, start if encoded else start + read_body(record, len(start)), charset and charset[1])
    return OtherRecord()


def _succeeded(record: WarcRecord) -> bool:
    return not record.is_http or 200 <= (record.http_headers.status_code or 0) < 300


def _can_be_reached(stream: BinaryIO, offset: int) -> bool:
    """Tell whether a record starts at byte `offset`: one inside a longer gzip member does not."""
    head = os.pread(stream.fileno(), len(_WARC), offset)
    return head.startswith((_GZIP, _WARC))


def _next_record(stream: BinaryIO, start: int) -> int | None:
    """Return where, from byte `start` on, the next record begins that opens as a WARC record; None if none does."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        marks = re.compile(re.escape(_GZIP) if data[:2] == _GZIP[:2] else re.escape(_WARC))
        for found in marks.finditer(data, start):
            if found[0] == _WARC or _unzipped_start(data[found.start() : found.start() + 256]) == _WARC:
                return found.start()
    return None


def _unzipped_start(member: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(member, len(_WARC))
    except zlib.error:
        return b""


def _sentence(path: Path, offset: int, reason: str) -> str:
    return f"{path}, record at byte {offset}: {reason[:1].lower()}{reason[1:]}."
