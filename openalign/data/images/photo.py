"""When and where a photo was taken, from its EXIF; the pixels are not read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from openalign.data.images.formats import format_of
from openalign.data.images.header import open_with_pillow
from openalign.data.images.jpeg_segments import exif_block
from openalign.data.images.raw_preview import CR3, raw_preview
from openalign.data.images.tags import Entry, TagReader

_EXIF, _GPS = 0x8769, 0x8825
_DATES = ((0x9003, 0x9011), (0x9004, 0x9012), (0x0132, 0x9010))
"""DateTimeOriginal, DateTimeDigitized and DateTime, each with the tag of its offset from UTC."""
_DATE = re.compile(
    r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)(?:[ T]+(\d\d):(\d\d)(?::(\d\d)(?:\.\d*)?)?\s*(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_MOST_CR3_HEAD = 2**20
"""Bytes in which a CR3 has its boxes of EXIF."""
_MOST_CHUNKS = 100_000
"""Chunks of a PNG or a WebP that are passed over; a PNG of 100 megabytes has 12,000 of 8 KB each."""
_FIRST_YEAR = 1826
"""The year of the oldest photograph: what claims to be older was never set."""


@dataclass(frozen=True)
class PhotoFacts:
    """What a camera noted; None for what it did not, or what cannot be true."""

    date: str | None = None
    """Local time where it was taken, `2024-05-17T14:03:22`, with its offset from UTC (`+02:00`) if that is known."""
    latitude: float | None = None
    """Degrees, south negative."""
    longitude: float | None = None
    """Degrees, west negative."""


def photo_facts(data: bytes) -> PhotoFacts:
    """The date and place in the EXIF of a JPEG, PNG, WebP, TIFF, AVIF or HEIC file, or of a camera's RAW file.

    The date is that of the exposure, else of digitizing, else of the last change. Malformed values count as absent,
    and nothing is raised. A place needs both coordinates with their hemispheres; 0, 0 is what cameras without a fix
    write, so it is none.
    """
    if data[4:12] == CR3:
        dates, gps = (_first_directory(_canon_box(data, name)) for name in (b"CMT2", b"CMT4"))
        return PhotoFacts(_date(*dates), *_place(*gps))
    try:
        reader, main = _first_directory(_exif(data))
    except Exception:  # Pillow's plugins raise most of the built-in exceptions on damaged bytes
        return PhotoFacts()
    exif = reader.directory(reader.integer(main.get(_EXIF)))
    latitude, longitude = _place(reader, reader.directory(reader.integer(main.get(_GPS))))
    return PhotoFacts(_date(reader, main | exif), latitude, longitude)


def _first_directory(block: bytes) -> tuple[TagReader, dict[int, Entry]]:
    reader = TagReader.of(block) or TagReader(b"", "<", 0)
    return reader, reader.directory(reader.first)


def _canon_box(data: bytes, name: bytes) -> bytes:
    """One of the boxes in which CR3 keeps the directories of EXIF, each with its own head; empty if there is none."""
    start = data.find(name, 0, _MOST_CR3_HEAD)
    size = int.from_bytes(data[max(0, start - 4) : start], "big") if start > 0 else 0
    return data[start + 4 : start + size - 4] if size > 8 else b""


def _exif(data: bytes) -> bytes:
    """The block of tags in a file, which in TIFF and most RAW formats is the file; empty if there is none."""
    known = format_of(data)
    if known is None:
        return b""
    if TagReader.of(data) is not None:
        return data
    if known.by_preview:
        preview = raw_preview(data)
        return _exif(data[preview.start :]) if preview else b""
    if known.name in _EXIF_READERS:
        return _EXIF_READERS[known.name](data)
    with open_with_pillow(data) as image:
        found = image.info.get("exif", b"")
    return found.removeprefix(b"Exif\0\0") if isinstance(found, bytes) else b""


def _png_exif(data: bytes) -> bytes:
    """The chunk of EXIF, which may follow the pixels: Pillow would have to decode them to find it."""
    position = 8
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            break
        size = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] == b"eXIf":
            return data[position + 8 : position + 8 + size].removeprefix(b"Exif\0\0")
        position += 12 + size
    return b""


def _webp_exif(data: bytes) -> bytes:
    """The chunk of EXIF, behind the pixels: Pillow would make room for them first."""
    position = 12
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            break
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"EXIF":
            return data[position + 8 : position + 8 + size].removeprefix(b"Exif\0\0")
        position += 8 + size + size % 2
    return b""


_EXIF_READERS: dict[str, Callable[[bytes], bytes]] = {"jpeg": exif_block, "png": _png_exif, "webp": _webp_exif}


def _date(reader: TagReader, tags: Mapping[int, Entry]) -> str | None:
    for tag, offset_tag in _DATES:
        found = _DATE.fullmatch(reader.text(tags.get(tag)))
        if found is None:
            continue
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        # Java's "kk" writes the hour after midnight as 24, beside the date of the day that has begun; leap seconds
        # are not known to `datetime`.
        try:
            date = datetime(year, month, day, 0 if hour == 24 else hour, minute, min(second, 59))
        except ValueError:
            continue
        if year >= _FIRST_YEAR and second <= 60:
            return date.isoformat() + _offset(reader.text(tags.get(offset_tag)) or found[7] or "")
    return None


def _offset(text: str) -> str:
    """`+02:00` of an offset from UTC, empty if it is absent or malformed."""
    if text == "Z":
        return "+00:00"
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:  # clocks are set from -12:00 to +14:00
        return ""
    return f"{found[1]}{found[2]}:{found[3]}"


def _place(reader: TagReader, tags: Mapping[int, Entry]) -> tuple[float, float] | tuple[None, None]:
    if reader.text(tags.get(9)) == "V":  # the receiver had no fix
        return None, None
    latitude = _degrees(reader, tags.get(1), tags.get(2), "NS", 90)
    longitude = _degrees(reader, tags.get(3), tags.get(4), "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None, None
    return latitude, longitude


def _degrees(reader: TagReader, side: Entry | None, values: Entry | None, sides: str, most: float) -> float | None:
    """Degrees, minutes and seconds as one number, negative on the second side; None if they are impossible."""
    hemisphere = reader.text(side)[:1].upper()
    parts = reader.ratios(values, 3)
    if not hemisphere or hemisphere not in sides or not parts or not parts[0][1]:
        return None
    total = 0.0
    for (numerator, denominator), unit, limit in zip(parts, (1, 60, 3600), (most, 60, 60), strict=False):
        if (numerator, denominator) == (0, 0):  # minutes or seconds that were not set
            continue
        if not denominator or not 0 <= numerator / denominator <= limit:
            return None
        total += numerator / denominator / unit
    if total > most:
        return None
    return round(-total if hemisphere == sides[1] else total, 7) + 0.0  # 1 cm; no negative zero
