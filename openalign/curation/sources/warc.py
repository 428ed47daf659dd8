"""WARC files, plain or compressed record by record (gzip, zstd): pages, stored images, access to one of these.

A WAT file is one as well, of records that hold what a page linked to.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from openalign.curation.html.page import PageSettings, too_large
from openalign.curation.html.urls import normalise
from openalign.curation.isolation.records import Problem, one_record, reason_of
from openalign.curation.sources.payload import Unreadable, expect_whole, header, parse_http, read_body
from openalign.curation.sources.storage import Place, bytes_at, opened
from openalign.curation.sources.wat import ListedPage, read_listed_page
from openalign.data.images.formats import HEAD_BYTES, format_of
from openalign.errors import OpenAlignError

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"  # opens the frame that holds a file's dictionary (IIPC, WARC with Zstandard)
_WARC = b"WARC/1."
WARC_SUFFIXES = (".warc", ".warc.gz", ".warc.zst", ".wat", ".wat.gz")
_MAX_DICTIONARY_BYTES = 16 << 20
_SEARCHED_BYTES = 1 << 20


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


Finding = StoredPage | StoredImage | ListedPage | OtherRecord | Damage


def is_warc(path: Place) -> bool:
    """Tell whether the file at `path` is a WARC, by its name or else its first bytes."""
    if str(path).lower().endswith(WARC_SUFFIXES):
        return True
    with opened(path) as stream:
        return stream.read(len(_WARC)) == _WARC


def scan(path: Place, page_bytes: int = PageSettings().page_bytes) -> Iterator[Finding]:
    """Yield what each record of a WARC file holds, in file order.

    A damaged record becomes a `Damage`, and reading goes on at the next record that can be found. So does one of a WAT
    file with more than `page_bytes`.

    Raises OpenAlignError if the file cannot be opened, or is gzipped as a whole.
    """
    try:
        with opened(path) as stream:
            empty = True
            for finding in _scan(stream, path, page_bytes):
                empty = False
                yield finding
            if empty:
                yield Damage(f"{path} is empty.")
    except OSError as error:
        raise OpenAlignError(f"{path} could not be opened: {error.strerror or error}.") from error


def _scan(stream: BinaryIO, path: Place, page_bytes: int) -> Iterator[Finding]:
    """Walk over the records; after damage start anew at the next place where one opens."""
    start: int | None = 0
    last: int | None = None
    unsettled: Damage | None = None  # whether it lies before or in the record after it shows when that one is read
    while start is not None:
        finding: Finding | None = None
        try:
            for place, record in _records(stream, start):
                if unsettled:
                    yield unsettled
                    unsettled = None
                start = place
                found = judge_record(record, path, start, page_bytes)
                finding = Damage(_sentence(path, start, found.reason)) if isinstance(found, Problem) else found
                if isinstance(finding, StoredImage) and (start == last or not _can_be_reached(stream, start)):
                    raise _compressed_as_a_whole(path)
                last = start
                yield finding
            break
        except OpenAlignError:
            raise
        except Exception as error:  # whatever the reader makes of damaged bytes
            reason = str(error) if isinstance(error, OSError) else reason_of(error)
            if finding is None:
                unsettled = None
                yield Damage(_sentence(path, start, reason))
            elif not isinstance(finding, Damage):
                unsettled = Damage(_sentence(path, start, f"what follows it is damaged ({reason})"))
            start = _next_record(stream, start + 1)
    if unsettled:
        yield unsettled


def read_payload(path: Place, offset: int) -> bytes:
    """Return the HTTP body (content encodings undone) of the record at byte `offset` of a WARC file.

    Raises OpenAlignError if there is no whole record there.
    """
    try:
        with opened(path) as stream:
            for _, record in _records(stream, offset):
                parse_http(record)
                return read_body(record)
    except (OSError, Unreadable) as error:
        raise OpenAlignError(_sentence(path, offset, str(error))) from error
    raise OpenAlignError(_sentence(path, offset, "the file ends before it"))


def _records(stream: BinaryIO, offset: int) -> Iterator[tuple[int, WarcRecord]]:
    """The records from byte `offset` on, which must be the start of one, each with where it starts."""
    dictionary = _dictionary(stream) if offset else None  # from the start on, the reader finds it by itself
    stream.seek(offset)
    if dictionary is None:
        yield from ((record.stream_pos, record) for record in ArchiveIterator(stream, parse_http=False))
        return
    frames = ZstdReader(stream, dictionary=dictionary)
    for record in ArchiveIterator(frames, parse_http=False):
        yield frames.frame_start_position() or 0, record  # `stream_pos` is the next frame's here


def _dictionary(stream: BinaryIO) -> bytes | None:
    """The dictionary of a zstd file that has one, without which no record can be read: its first frame's content."""
    head = bytes_at(stream, 0, 8)
    if not head.startswith(_ZSTD_DICTIONARY) or len(head) < 8:
        return None
    (size,) = struct.unpack("<I", head[4:])
    stored = bytes_at(stream, 8, min(size, _MAX_DICTIONARY_BYTES))
    return ZstdReader(io.BytesIO(stored)).read(_MAX_DICTIONARY_BYTES) if stored.startswith(_ZSTD) else stored


@one_record
def judge_record(record: WarcRecord, path: Place, offset: int, page_bytes: int) -> Finding:
    """What the record at byte `offset` of a WARC file holds."""
    if record.record_type == WarcRecordType.metadata and header(record, "Content-Type") == "application/json":
        return _listed(record, path, offset, page_bytes)
    if record.record_type not in (WarcRecordType.response, WarcRecordType.resource):
        return OtherRecord()
    url = normalise(record.headers.get("WARC-Target-URI") or "")
    try:
        parse_http(record)
        if url is None or not _succeeded(record):
            return OtherRecord()
        return _content(record, url, offset)
    except (OSError, Unreadable) as error:
        return Damage(_sentence(path, offset, str(error)))


def _listed(record: WarcRecord, path: Place, offset: int, page_bytes: int) -> Finding:
    try:
        body = read_body(record)
        if len(body) > page_bytes:
            raise Unreadable(too_large(page_bytes))
        return read_listed_page(body) or OtherRecord()
    except (OSError, Unreadable) as error:
        return Damage(_sentence(path, offset, str(error)))


def _content(record: WarcRecord, url: str, offset: int) -> Finding:
    """Tell pages from images by their first bytes; of an image no more than those is copied."""
    declared = header(record, "Content-Type")
    kind = declared.partition(";")[0].strip().lower()
    encoded = bool(header(record, "Transfer-Encoding") or header(record, "Content-Encoding"))
    start = read_body(record) if encoded else record.reader.read(HEAD_BYTES)
    if format_of(start) is not None or kind.startswith("image/"):
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
    """Tell whether a record starts at byte `offset`: one inside a longer gzip member or zstd frame does not."""
    return bytes_at(stream, offset, len(_WARC)).startswith((_GZIP, _ZSTD, _WARC))


def _compressed_as_a_whole(path: Place) -> OpenAlignError:
    return OpenAlignError(
        f"{path} is compressed as a whole, not record by record, so its images cannot be reached one by one; "
        f"rewrite it with `fastwarc recompress {path} NEW.warc.gz`."
    )


def _next_record(stream: BinaryIO, start: int) -> int | None:
    """Return where, from byte `start` on, the next record begins that opens as a WARC record; None if none does."""
    dictionary = _dictionary(stream)
    head = bytes_at(stream, 0, len(_ZSTD_DICTIONARY))
    mark = _GZIP if head.startswith(_GZIP) else _ZSTD if head in (_ZSTD, _ZSTD_DICTIONARY) else _WARC
    while block := bytes_at(stream, start, _SEARCHED_BYTES):
        for found in re.finditer(re.escape(mark), block):
            place = start + found.start()
            if mark == _WARC or _decompressed_start(stream, place, mark, dictionary) == _WARC:
                return place
        if len(block) < _SEARCHED_BYTES:
            break
        start += len(block) - len(mark) + 1  # a mark may lie across two blocks
    return None


def _decompressed_start(stream: BinaryIO, start: int, mark: bytes, dictionary: bytes | None) -> bytes:
    try:
        if mark == _GZIP:
            return zlib.decompressobj(wbits=31).decompress(bytes_at(stream, start, 256), len(_WARC))
        # A zstd block gives nothing before it is whole, and may be 128 kB long.
        frame = io.BytesIO(bytes_at(stream, start, 1 << 18))
        return ZstdReader(frame, dictionary=dictionary).read(len(_WARC))
    except (OSError, zlib.error):
        return b""


def _sentence(path: Place, offset: int, reason: str) -> str:
    return f"{path}, record at byte {offset}: {reason[:1].lower()}{reason[1:]}."
