"""Access to WARC records by offset, in files that are plain or compressed record by record (gzip, zstd)."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from fastwarc.stream_io import GzipReader, ZstdReader
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from openalign.curation.sources.payload import MAX_PAYLOAD_BYTES
from openalign.curation.sources.storage import read_at

WARC_STARTS = (b"WARC/1.", b"WARC/0.")  # 0.17 and 0.18, drafts of the format, are those of ClueWeb09
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"  # starts the frame that holds a file's dictionary (IIPC, WARC with Zstandard)
_MAX_DICTIONARY_BYTES = 16 << 20
_SEARCHED_BYTES = 1 << 20
_START_BYTES = len(WARC_STARTS[0])
_LF_START = re.compile(rb"WARC/[01]\.\d+\n")
_LF_START_BYTES = len(b"WARC/0.18\n")
_MAX_HEADER_BYTES = 1 << 16
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,18})", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(rb"[A-Za-z-]+")
_HTTP_TYPE = "application/http"
_WORDS = {word.lower(): word for word in (b"WARC", b"URI", b"ID", b"IP")}
_TYPES = ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
_GZIP_HEAD_BYTES, _ZSTD_HEAD_BYTES = 256, 1 << 18
"""Compressed bytes that give the first bytes of a record: a zstd block yields nothing before its end, up to 128 kB."""


def records_from(stream: BinaryIO, offset: int) -> Iterator[tuple[int, WarcRecord]]:
    """The records from byte `offset` on, each with its own offset. A record must start at `offset`.

    FastWARC knows the names of header fields in their usual case, and lines that end in CRLF: from a record that is
    written otherwise on, headers are written anew before it reads them. (Its `quirks_mode` would skip damage unsaid.)
    It stops at padding between gzip members, and reading goes on after it.
    """
    start: int | None = offset
    while start is not None:
        begun, start = start, None
        odd: int | None = begun if _ends_lines_in_lf(stream, begun) else None
        last: int | None = None
        failure: Exception | None = None
        try:
            for place, record in () if odd is not None else _as_they_are(stream, begun):
                if _is_misread(record):
                    odd = place
                    break
                last = place
                yield place, record
        except Exception as error:  # anything it raises on damaged bytes, or on padding
            failure = error
        if odd is not None:
            content, end = _rewritten(stream, odd)
            for record in ArchiveIterator(io.BytesIO(content), parse_http=False):
                yield odd, record
            start = next_record(stream, odd + 1) if end is None else _after_blank_lines(stream, end)
            continue
        after = None if last is None else _after_padding(stream, last)
        if after is None and failure is not None:
            raise failure
        start = after or None


def _as_they_are(stream: BinaryIO, offset: int) -> Iterator[tuple[int, WarcRecord]]:
    dictionary = _dictionary(stream) if offset else None  # at offset 0 the reader finds it by itself
    stream.seek(offset)
    if dictionary is None:
        yield from ((record.stream_pos, record) for record in ArchiveIterator(stream, parse_http=False))
        return
    frames = ZstdReader(stream, dictionary=dictionary)
    for record in ArchiveIterator(frames, parse_http=False):
        yield frames.frame_start_position() or 0, record  # `stream_pos` is that of the next frame here


def _ends_lines_in_lf(stream: BinaryIO, offset: int) -> bool:
    head = read_at(stream, offset, _LF_START_BYTES)
    if head.startswith(_GZIP):
        head = _decompressed_start(stream, offset, _GZIP, None, _LF_START_BYTES)
    elif head.startswith(_ZSTD):
        head = _decompressed_start(stream, offset, _ZSTD, _dictionary(stream), _LF_START_BYTES)
    return _LF_START.match(head) is not None


def _is_misread(record: WarcRecord) -> bool:
    """Whether the header has a type or a length that was not found; the names of both are looked up in any case.

    Also whether it states its media type in capitals.
    """
    if not record.is_http and (record.headers.get("Content-Type") or "").lower().startswith(_HTTP_TYPE):
        return True
    if record.record_type == WarcRecordType.unknown:
        words = (record.headers.get("WARC-Type") or "").lower().split()
        return not words or words[0] in _TYPES  # the rest of the header is the type where lines end in LF
    return not record.content_length and (record.headers.get("Content-Length") or "0").strip() != "0"


def _rewritten(stream: BinaryIO, offset: int) -> tuple[bytes, int | None]:
    """The record at an offset, its header with usual names and line ends; and where it ends, None if compressed.

    Of a content above `MAX_PAYLOAD_BYTES` only so much that it is told to be above.
    """
    stream.seek(offset)
    head = read_at(stream, offset, len(_ZSTD))
    rest: Any = stream
    if head.startswith(_GZIP):
        rest = GzipReader(stream)
    elif head == _ZSTD:
        rest = ZstdReader(stream, dictionary=_dictionary(stream))
    start = rest.read(_MAX_HEADER_BYTES)
    found = _END_OF_HEADER.search(start)
    size = found.end() if found else len(start)
    header, content = _FOLD.sub(b" ", start[:size]), start[size:]
    stated = _LENGTH.search(header)
    length = int(stated[1]) if stated else 0
    if len(content) < length:
        content += rest.read(min(length, MAX_PAYLOAD_BYTES + _MAX_HEADER_BYTES) - len(content))
    lines = [_with_usual_name(line) for line in header.splitlines()]
    is_plain = not head.startswith((_GZIP, _ZSTD))
    return b"\r\n".join([*lines, b""]) + content[:length], offset + size + length if is_plain else None


def _after_blank_lines(stream: BinaryIO, offset: int) -> int | None:
    """The first byte from `offset` on that is no line end; None at the end of the file."""
    while block := read_at(stream, offset, _GZIP_HEAD_BYTES):
        if rest := block.lstrip(b"\r\n"):
            return offset + len(block) - len(rest)
        offset += len(block)
    return None


def _with_usual_name(line: bytes) -> bytes:
    """`warc-target-uri: x` -> `WARC-Target-URI: x`; a media type is written small, as FastWARC knows it."""
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name):
        return line
    usual = b"-".join(_WORDS.get(word, word.capitalize()) for word in name.lower().split(b"-"))
    if usual == b"Content-Type":
        media_type, semicolon, parameters = value.partition(b";")
        value = media_type.lower() + semicolon + parameters
    return usual + colon + value


def starts_record(stream: BinaryIO, offset: int) -> bool:
    """Whether a record can be read from byte `offset`: not if it is inside a longer gzip member or zstd frame."""
    return read_at(stream, offset, _START_BYTES).startswith((_GZIP, _ZSTD, *WARC_STARTS))


def next_record(stream: BinaryIO, start: int) -> int | None:
    """The offset of the first record at or after byte `start`; None if there is none."""
    dictionary = _dictionary(stream)
    head = read_at(stream, 0, len(_ZSTD_DICTIONARY))
    magic = _GZIP if head.startswith(_GZIP) else _ZSTD if head in (_ZSTD, _ZSTD_DICTIONARY) else None
    searched = re.escape(magic) if magic else b"|".join(map(re.escape, WARC_STARTS))
    while block := read_at(stream, start, _SEARCHED_BYTES):
        for match in re.finditer(searched, block):
            offset = start + match.start()
            if magic is None or _decompressed_start(stream, offset, magic, dictionary) in WARC_STARTS:
                return offset
        if len(block) < _SEARCHED_BYTES:
            break
        start += len(block) - _START_BYTES + 1  # what is searched may span two blocks
    return None


def _after_padding(stream: BinaryIO, offset: int) -> int | None:
    """The offset of the record after the one in the gzip member at `offset`; 0 if that is the last one.

    Members without content and zero bytes, as on tapes, may be between them. None if anything else is.
    """
    after = _end_of_member(stream, offset)[0] if read_at(stream, offset, len(_GZIP)) == _GZIP else None
    while after is not None and (block := read_at(stream, after, _SEARCHED_BYTES)):
        if rest := block.lstrip(b"\0"):
            after += len(block) - len(rest)
            if _decompressed_start(stream, after, _GZIP, None) in WARC_STARTS:
                return after
            after, size = _end_of_member(stream, after)
            if size:
                return None
        else:
            after += len(block)
    return None if after is None else 0


def _end_of_member(stream: BinaryIO, offset: int) -> tuple[int | None, int]:
    """Where the gzip member at `offset` ends, None if it is damaged or cut off; and the size of its content."""
    decompressor = zlib.decompressobj(wbits=31)
    size = 0
    try:
        while not decompressor.eof and (block := read_at(stream, offset, _SEARCHED_BYTES)):
            offset += len(block)
            while block and not decompressor.eof:
                size += len(decompressor.decompress(block, _SEARCHED_BYTES))
                block = decompressor.unconsumed_tail
    except zlib.error:
        return None, size
    return (offset - len(decompressor.unused_data) if decompressor.eof else None), size


def _dictionary(stream: BinaryIO) -> bytes | None:
    """The dictionary of a zstd file (the content of its first frame), without which no record can be decompressed."""
    head = read_at(stream, 0, 8)
    if not head.startswith(_ZSTD_DICTIONARY) or len(head) < 8:
        return None
    (size,) = struct.unpack("<I", head[4:])
    stored = read_at(stream, 8, min(size, _MAX_DICTIONARY_BYTES))
    return ZstdReader(io.BytesIO(stored)).read(_MAX_DICTIONARY_BYTES) if stored.startswith(_ZSTD) else stored


def _decompressed_start(
    stream: BinaryIO, offset: int, magic: bytes, dictionary: bytes | None, size: int = _START_BYTES
) -> bytes:
    """The first bytes of what is compressed at `offset`; empty if it cannot be decompressed."""
    try:
        if magic == _GZIP:
            return zlib.decompressobj(wbits=31).decompress(read_at(stream, offset, _GZIP_HEAD_BYTES), size)
        frame = io.BytesIO(read_at(stream, offset, _ZSTD_HEAD_BYTES))
        return ZstdReader(frame, dictionary=dictionary).read(size)
    except (OSError, zlib.error):
        return b""
