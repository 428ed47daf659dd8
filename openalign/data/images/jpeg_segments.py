"""The segments of a JPEG before its first scan: its frame, which has its size, and its blocks of EXIF."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_MOST_SEGMENTS = 20_000
"""With bytes of padding; 16 MB of metadata are 250 segments."""
_MOST_EXIF_BLOCKS = 64
"""EXIF of more than 64 KB goes on in further segments; Pillow's time to join them is the square of their number."""
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_END, _SCAN = 0xD9, 0xDA


@dataclass(frozen=True)
class JpegFrame:
    """What the start-of-frame segment says."""

    marker: int
    """0xC0 to 0xC2 are what everything decodes; 0xC3 and above hold lossless and arithmetic coding."""
    bits: int
    """Of a value."""
    height: int
    width: int


def jpeg_frame(data: bytes, start: int = 0) -> JpegFrame:
    """The first start of frame of the JPEG that begins at `start`.

    Its markers are C0 to CF without DHT (C4), JPG (C8) and DAC (CC).

    Raises:
        ValueError: damaged, or without a frame.
        IndexError, struct.error: the data end before it.
    """
    for marker, position in _segments(data, start):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return JpegFrame(marker, *struct.unpack_from(">BHH", data, position + 2))
    raise ValueError("no frame before the first scan")


def exif_block(data: bytes) -> bytes:
    """The first block of EXIF, without its name; empty if there is none."""
    return next(_exif_blocks(data), b"")


def has_too_much_exif(data: bytes) -> bool:
    """Whether a JPEG has more blocks of EXIF than any camera writes."""
    return sum(1 for _ in zip(range(_MOST_EXIF_BLOCKS + 1), _exif_blocks(data), strict=False)) > _MOST_EXIF_BLOCKS


def _exif_blocks(data: bytes) -> Iterator[bytes]:
    with suppress(ValueError, IndexError, struct.error):  # damage after the frame is the decoder's to find
        for marker, position in _segments(data, 0):
            if marker == 0xE1 and data[position + 2 : position + 8] == b"Exif\0\0":
                [length] = struct.unpack_from(">H", data, position)
                yield data[position + 8 : position + length]


def _segments(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """The marker of each segment and the position of its length, up to the first scan or the end."""
    position = start + 2
    for _ in range(_MOST_SEGMENTS):
        marker = data[position + 1]
        if data[position] != 0xFF:
            raise ValueError("no marker where one must be")
        if marker in (_END, _SCAN):
            return
        position += 1 if marker == 0xFF else 2  # padding
        if marker != 0xFF and marker not in _WITHOUT_LENGTH:
            yield marker, position
            position += max(2, *struct.unpack_from(">H", data, position))
    raise ValueError("too many segments")
