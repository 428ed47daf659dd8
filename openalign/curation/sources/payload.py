"""The HTTP body of a WARC record: complete, within the size limit, decoded."""

import io
import re
from collections.abc import Callable

from fastwarc.stream_io import BrotliReader, ChunkedReader, GzipReader, WarcReader, ZstdReader
from fastwarc.warc import WarcRecord

from openalign.curation.isolation.records import RecordError

MAX_PAYLOAD_BYTES = 64 << 20
_LINE_END = re.compile(rb"\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?(?:\r?\n|\Z)")


class Unreadable(RecordError):
    """A record whose content cannot be read, although its frame is intact and the next record can be found."""


def parse_http(record: WarcRecord) -> None:
    """Read the HTTP header, if the record has one. Raises Unreadable if it is damaged."""
    if record.is_http:
        record.parse_http(quirks_mode=True)  # also lines that end in LF alone
        if record.http_headers is None or record.http_headers.status_code is None:
            raise Unreadable("its HTTP header is damaged")


def header(record: WarcRecord, name: str) -> str:
    """The value of an HTTP header (of a WARC header if the record has no HTTP that was read); "" if it is missing."""
    headers = record.http_headers or record.headers
    return headers.get(name) or ""


def read_body(record: WarcRecord, already_read: int = 0) -> bytes:
    """The rest of a record's body, transfer and content encodings decoded.

    Some crawlers decode a body and leave the header: bytes that cannot be decoded are returned unchanged.

    Raises Unreadable if the body is truncated or too large.
    """
    body = record.reader.read(MAX_PAYLOAD_BYTES + 1)
    expect_whole(record, already_read + len(body))
    for encoding in reversed(_encodings(record, "Content-Encoding") + _encodings(record, "Transfer-Encoding")):
        if encoding == "chunked":
            body = _put_together(body)
        elif decoder := _DECODERS.get(encoding):
            body = _decoded(decoder, body)
    return body


def _encodings(record: WarcRecord, name: str) -> list[str]:
    """The encodings that a header names, in the order in which they were applied; it may be given several times."""
    headers = record.http_headers or record.headers
    values = [value for key, value in headers.items() if key.lower() == name.lower()]
    return [encoding.strip().lower() for value in values for encoding in value.split(",")]


def _put_together(body: bytes) -> bytes:
    """A body without the sizes of its chunks; unchanged if there are none.

    FastWARC reads those of most servers, fast. Others end lines in LF alone, or write extensions behind the sizes, and
    the last chunk may be cut off.
    """
    try:
        return bytes(ChunkedReader(io.BytesIO(body)).read(len(body)))
    except OSError:
        pass
    chunks, at = [], 0
    while at < len(body):
        found = _CHUNK_SIZE.match(body, at)
        if found is None:
            return body
        size = int(found[1], 16)
        if not size:  # trailers follow
            break
        chunks.append(body[found.end() : found.end() + size])
        at = found.end() + size
        if end := _LINE_END.match(body, at):
            at = end.end()
    return b"".join(chunks)


def expect_whole(record: WarcRecord, length: int) -> None:
    """Raise Unreadable unless `length` bytes are the complete content of a record and within the limit."""
    if length > MAX_PAYLOAD_BYTES:
        raise Unreadable(f"its body is larger than {MAX_PAYLOAD_BYTES >> 20} MB")
    if length < (record.content_length or 0):
        raise Unreadable(f"the file ends after {length} of its {record.content_length} bytes")


def _deflate_reader(source: io.BytesIO) -> GzipReader:
    return GzipReader(source, zlib=True)


_DECODERS: dict[str, Callable[[io.BytesIO], WarcReader]] = {
    "gzip": GzipReader,
    "x-gzip": GzipReader,
    "deflate": _deflate_reader,
    "br": BrotliReader,
    "zstd": ZstdReader,
}


def _decoded(reader: Callable[[io.BytesIO], WarcReader], body: bytes) -> bytes:
    try:
        decoded = reader(io.BytesIO(body)).read(MAX_PAYLOAD_BYTES + 1)
    except OSError:
        return body
    if len(decoded) > MAX_PAYLOAD_BYTES:
        raise Unreadable(f"its body is larger than {MAX_PAYLOAD_BYTES >> 20} MB")
    return decoded
