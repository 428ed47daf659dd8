"""The frame of a JPEG: its kind and its size, from the segments before its first scan."""

import struct
from dataclasses import dataclass

_MOST_SEGMENTS = 20_000
"""With bytes of padding; 16 MB of metadata are 250 segments."""


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
    """Walk the segments from `start`, where the JPEG begins, to the first start of frame.

    Start-of-frame markers are C0 to CF without DHT (C4), JPG (C8) and DAC (CC).

    Raises:
        ValueError: damaged, or without a frame.
        IndexError, struct.error: the data end before it.
    """
    position = start + 2
    for _ in range(_MOST_SEGMENTS):
        marker = data[position + 1]
        if data[position] == marker == 0xFF:  # padding
            position += 1
            continue
        if data[position] != 0xFF or marker in (0xD9, 0xDA):
            raise ValueError("no frame where one must be")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return JpegFrame(marker, *struct.unpack_from(">BHH", data, position + 4))
        position += 2
        if not (0xD0 <= marker <= 0xD8 or marker == 0x01):  # those have no length
            position += max(2, *struct.unpack_from(">H", data, position))
    raise ValueError("too many segments before the frame")
