"""Access to WARC records by offset, in files that are plain or compressed record by record (gzip, zstd)."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader
from fastwarc.warc import ArchiveIterator, WarcRecord

from openalign.curation.sources.storage import read_at

WARC_MAGIC = b"WARC/1."
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"  # starts the frame that holds a file's dictionary (IIPC, WARC with Zstandard)
_MAX_DICTIONARY_BYTES = 16 << 20
_SEARCHED_BYTES = 1 << 20
_GZIP_HEAD_BYTES, _ZSTD_HEAD_BYTES = 256, 1 << 18
"""Compressed bytes that give the first bytes of a record: a zstd block yields nothing before its end, up to 128 kB."""


def records_from(stream: BinaryIO, offset: int) -> Iterator[tuple[int, WarcRecord]]:
    """The records from byte `offset` on, each with its own offset. A record must start at `offset`."""
    dictionary = _dictionary(stream) if offset else None  # at offset 0 the reader finds it by itself
    stream.seek(offset)
    if dictionary is None:
        yield from ((record.stream_pos, record) for record in ArchiveIterator(stream, parse_http=False))
        return
    frames = ZstdReader(stream, dictionary=dictionary)
    for record in ArchiveIterator(frames, parse_http=False):
        yield frames.frame_start_position() or 0, record  # `stream_pos` is that of the next frame here


def starts_record(stream: BinaryIO, offset: int) -> bool:
    """Whether a record can be read from byte `offset`: not if it is inside a longer gzip member or zstd frame."""
    return read_at(stream, offset, len(WARC_MAGIC)).startswith((_GZIP, _ZSTD, WARC_MAGIC))


def next_record(stream: BinaryIO, start: int) -> int | None:
    """The offset of the first record at or after byte `start`; None if there is none."""
    dictionary = _dictionary(stream)
    head = read_at(stream, 0, len(_ZSTD_DICTIONARY))
    magic = _GZIP if head.startswith(_GZIP) else _ZSTD if head in (_ZSTD, _ZSTD_DICTIONARY) else WARC_MAGIC
    while block := read_at(stream, start, _SEARCHED_BYTES):
        for match in re.finditer(re.escape(magic), block):
            offset = start + match.start()
            if magic == WARC_MAGIC or _decompressed_start(stream, offset, magic, dictionary) == WARC_MAGIC:
                return offset
        if len(block) < _SEARCHED_BYTES:
            break
        start += len(block) - len(magic) + 1  # the magic bytes may span two blocks
    return None


def _dictionary(stream: BinaryIO) -> bytes | None:
    """The dictionary of a zstd file (the content of its first frame), without which no record can be decompressed."""
    head = read_at(stream, 0, 8)
    if not head.startswith(_ZSTD_DICTIONARY) or len(head) < 8:
        return None
    (size,) = struct.unpack("<I", head[4:])
    stored = read_at(stream, 8, min(size, _MAX_DICTIONARY_BYTES))
    return ZstdReader(io.BytesIO(stored)).read(_MAX_DICTIONARY_BYTES) if stored.startswith(_ZSTD) else stored


def _decompressed_start(stream: BinaryIO, offset: int, magic: bytes, dictionary: bytes | None) -> bytes:
    """The first bytes of what is compressed at `offset`; empty if it cannot be decompressed."""
    try:
        if magic == _GZIP:
            return zlib.decompressobj(wbits=31).decompress(read_at(stream, offset, _GZIP_HEAD_BYTES), len(WARC_MAGIC))
        frame = io.BytesIO(read_at(stream, offset, _ZSTD_HEAD_BYTES))
        return ZstdReader(frame, dictionary=dictionary).read(len(WARC_MAGIC))
    except (OSError, zlib.error):
        return b""
