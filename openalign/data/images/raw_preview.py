"""The JPEG that a camera puts into its RAW file: the picture as the camera developed it, mostly at full size.

The sensor's own values are not developed. Most RAW formats are TIFF files whose directories say where the JPEG lies;
Fujifilm's has a header of its own. In those of Olympus (ORF) and in Canon's CR3 it is found by its first bytes.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from openalign.data.images.formats import format_of
from openalign.data.images.jpeg_segments import JpegFrame, jpeg_frame
from openalign.data.images.tags import Entry, TagReader

_KIND, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC = 0xFE, 0x100, 0x101, 0x103, 0x106
_STRIPS, _STRIP_SIZES, _FURTHER = 0x111, 0x117, 0x14A
_JPEG, _JPEG_SIZE, _PANASONIC_JPEG = 0x201, 0x202, 0x2E
_ORIENTATION, _DNG_VERSION = 0x112, 0xC612
_SENSOR_VALUES = (32803, 34892)
"""PhotometricInterpretation of a colour filter array, and of its values made linear (DNG)."""
CR3 = b"ftypcrx "
"""Bytes 4 to 12 of a CR3."""
_ORF = (b"IIRO", b"IIRS", b"MMOR")
_MOST_DIRECTORIES = 40
_MOST_FOUND = 50
"""Beginnings of a JPEG that are looked at where they are searched for."""
_FUJI_JPEG = 84
"""Where a RAF says at which byte its JPEG begins."""
_MOST_PREVIEW_PIXELS = 2**29
"""What claims more is no JPEG but bytes that look like the beginning of one."""

Directories = list[dict[int, Entry]]


@dataclass(frozen=True)
class Preview:
    """Where the preview begins in its file, and how it has to be turned."""

    start: int
    frame: JpegFrame
    orientation: int
    """Of the photo (1 to 8), by the RAW file: for a preview that does not have its own."""


def raw_preview(data: bytes) -> Preview | None:
    """The largest JPEG in a camera's RAW file; None if it has none or the data are no RAW file."""
    if not is_raw(data):
        return None
    reader = TagReader.of(data)
    directories = _directories(reader) if reader else []
    found = _frames(data, chain(_starts(reader, directories) if reader else _fuji_starts(data), _searched(data)))
    if not found:
        return None
    start, frame = max(found.items(), key=lambda each: (each[1].width * each[1].height, -each[0]))
    return Preview(start, frame, _orientation(reader, directories, frame) if reader else 1)


def is_raw(data: bytes) -> bool:
    """Whether these are the bytes of a camera's RAW file.

    One begins as such, or is a TIFF with values of a sensor, or one whose first picture says to be a reduced version of
    another.
    """
    known = format_of(data)
    if known is None or known.name != "tiff":
        return known is not None and known.by_preview
    reader = TagReader.of(data)
    return reader is not None and _is_raw(reader, _directories(reader))


def _directories(reader: TagReader) -> Directories:
    """The directories of a file, each once: the first, those it links to, and those they name as further ones."""
    found: dict[int, dict[int, Entry]] = {}
    waiting = [reader.first]
    while waiting and len(found) < _MOST_DIRECTORIES:
        offset = waiting.pop(0)
        if offset not in found:
            tags = found[offset] = reader.directory(offset)
            waiting += [reader.following(offset), *reader.integers(tags.get(_FURTHER), _MOST_DIRECTORIES)]
    return list(found.values())


def _is_raw(reader: TagReader, directories: Directories) -> bool:
    first = directories[0]
    is_reduced = reader.integer(first.get(_KIND)) & 1 and _FURTHER in first
    return bool(is_reduced) or _DNG_VERSION in first or _sensor(reader, directories) is not None


def _sensor(reader: TagReader, directories: Directories) -> dict[int, Entry] | None:
    return next((tags for tags in directories if reader.integer(tags.get(_PHOTOMETRIC)) in _SENSOR_VALUES), None)


def _starts(reader: TagReader, directories: Directories) -> Iterator[int]:
    """Where directories say that a JPEG lies: as a preview, or as the one strip of a picture."""
    for tags in directories:
        yield reader.integer(tags.get(_JPEG))
        if _PANASONIC_JPEG in tags:
            yield tags[_PANASONIC_JPEG].position
        if _STRIPS in tags and tags[_STRIPS].count == 1 and reader.integer(tags.get(_COMPRESSION)) in (6, 7):
            yield reader.integer(tags[_STRIPS])


def _fuji_starts(data: bytes) -> Iterator[int]:
    if data.startswith(b"FUJIFILM") and len(data) >= _FUJI_JPEG + 4:
        yield struct.unpack_from(">I", data, _FUJI_JPEG)[0]


def _searched(data: bytes) -> Iterator[int]:
    """The first beginnings of a JPEG in an ORF or a CR3, whose own directories do not name the preview."""
    if data[:4] not in _ORF and data[4:12] != CR3:
        return
    for _, found in zip(range(_MOST_FOUND), re.finditer(rb"\xff\xd8\xff[\xc0-\xfe]", data), strict=False):
        yield found.start()


def _frames(data: bytes, starts: Iterable[int]) -> dict[int, JpegFrame]:
    """The JPEGs of those that begin with one that can be decoded; lossless ones hold the sensor's values."""
    found = {}
    for start in starts:
        if start <= 0 or data[start : start + 2] != b"\xff\xd8":
            continue
        try:
            frame = jpeg_frame(data, start)
        except (ValueError, IndexError, struct.error):
            continue
        if frame.marker <= 0xC2 and frame.bits == 8 and 0 < frame.width * frame.height <= _MOST_PREVIEW_PIXELS:
            found[start] = frame
    return found


def _orientation(reader: TagReader, directories: Directories, frame: JpegFrame) -> int:
    """How the photo is to be turned; 1 for a quarter turn that the camera has already made in the preview."""
    orientation = reader.integer(directories[0].get(_ORIENTATION))
    sensor = _sensor(reader, directories)
    if sensor and 5 <= orientation <= 8:
        width, height = reader.integer(sensor.get(_WIDTH)), reader.integer(sensor.get(_HEIGHT))
        if (width > height) != (frame.width > frame.height) and width and height and frame.width != frame.height:
            return 1
    return orientation if 1 <= orientation <= 8 else 1
