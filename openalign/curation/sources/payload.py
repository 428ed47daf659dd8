"""The HTTP body of a WARC record: complete, within the size limit, decoded."""

import io
from collections.abc import Callable

from fastwarc.stream_io import BrotliReader, ChunkedReader, GzipReader, WarcReader, ZstdReader
from fastwarc.warc import WarcRecord

from openalign.curation.isolation.records import RecordError

MAX_PAYLOAD_BYTES = 64 << 20


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
    if "chunked" in header(record, "Transfer-Encoding").lower():
        body = _decoded(ChunkedReader, body)
    for encoding in reversed(header(record, "Content-Encoding").lower().split(",")):
        if decoder := _DECODERS.get(encoding.strip()):
            body = _decoded(decoder, body)
    return body


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
