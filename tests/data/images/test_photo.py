"""Date and place of a photo from its EXIF: what cameras write, what they write wrongly, and hostile blocks."""

import io
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from openalign.data.images.photo import PhotoFacts, photo_facts

NOTHING = PhotoFacts()
ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5
DATE_TIME, ORIGINAL, DIGITIZED, OFFSET, OFFSET_ORIGINAL = 0x0132, 0x9003, 0x9004, 0x9010, 0x9011
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
Tags = Mapping[int, tuple[int, Any]]


def directory(tags: Tags, at: int, order: str = "<") -> bytes:
    """A directory of tags that lies `at` bytes from the start of the block, with its values after it."""
    entries, values = b"", b""
    after = at + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        layout = {ASCII: None, SHORT: "H", LONG: "I", RATIONAL: "I"}.get(kind)
        numbers = value if isinstance(value, list) else [value]
        stored = value if layout is None else struct.pack(f"{order}{len(numbers)}{layout}", *numbers)
        count = len(numbers) // 2 if kind == RATIONAL else len(value if layout is None else numbers)
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        entries += stored.ljust(4, b"\0") if len(stored) <= 4 else struct.pack(f"{order}I", after + len(values))
        values += stored if len(stored) > 4 else b""
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values


def exif(main: Tags = {}, exif: Tags = {}, gps: Tags = {}, order: str = "<") -> bytes:  # noqa: B006 - not changed
    """A block of EXIF with its three directories."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    pointers = {0x8769: (LONG, 0), 0x8825: (LONG, 0)}
    second = 8 + len(directory({**main, **pointers}, 8, order))
    third = second + len(directory(exif, second, order))
    pointers = {0x8769: (LONG, second), 0x8825: (LONG, third)}
    return (
        head + directory({**main, **pointers}, 8, order) + directory(exif, second, order) + directory(gps, third, order)
    )


def jpeg(block: bytes) -> bytes:
    """A JPEG with a block of EXIF as it is."""
    plain = encoded("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + plain[2:]


def encoded(name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(stream, name, **options)
    return stream.getvalue()


def place(
    latitude: Sequence[int], longitude: Sequence[int], refs: tuple[bytes, bytes] = (b"N\0", b"E\0")
) -> dict[int, Any]:
    sides = {1: (ASCII, refs[0]), 3: (ASCII, refs[1])}
    return {**sides, 2: (RATIONAL, list(latitude)), 4: (RATIONAL, list(longitude))}


@pytest.mark.parametrize("name", FORMATS)
def test_date_and_place_are_read_from_every_format(name):
    written = Image.Exif()
    written[ExifTags.Base.Make] = "camera"
    written.get_ifd(ExifTags.IFD.Exif).update({ORIGINAL: "2024:05:17 14:03:22", OFFSET_ORIGINAL: "+02:00"})
    gps = {1: "S", 2: (33.0, 51.0, 24.48), 3: "W", 4: (151.0, 12.5, 0.0)}
    written.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    facts = photo_facts(encoded(name, exif=written.tobytes()))
    assert facts.date == "2024-05-17T14:03:22+02:00"
    assert facts.latitude == pytest.approx(-(33 + 51 / 60 + 24.48 / 3600), abs=1e-6)
    assert facts.longitude == pytest.approx(-(151 + 12.5 / 60), abs=1e-6)
    assert photo_facts(encoded(name)) == NOTHING


def test_exif_after_the_pixels_of_a_png_is_found():
    png, block = encoded("PNG"), exif(exif={ORIGINAL: (ASCII, b"2024:05:17 14:03:22\0")})
    chunk = b"eXIf" + block
    chunk = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert photo_facts(png[:-12] + chunk + png[-12:]).date == "2024-05-17T14:03:22"


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_exposure_comes_before_the_digitizing_and_that_before_the_change(order):
    main = {DATE_TIME: (ASCII, b"2024:01:03 00:00:00\0")}
    more = {DIGITIZED: (ASCII, b"2024:01:02 00:00:00\0"), ORIGINAL: (ASCII, b"2024:01:01 00:00:00\0")}
    assert photo_facts(jpeg(exif(main, more, order=order))).date == "2024-01-01T00:00:00"
    more[ORIGINAL] = (ASCII, b"    :  :     :  :  \0")
    assert photo_facts(jpeg(exif(main, more, order=order))).date == "2024-01-02T00:00:00"
    more[DIGITIZED] = (ASCII, b"0000:00:00 00:00:00\0")
    assert photo_facts(jpeg(exif(main, more, order=order))).date == "2024-01-03T00:00:00"


def test_an_offset_belongs_to_its_own_date():
    tags = {ORIGINAL: (ASCII, b"2024:01:01 00:00:00\0"), OFFSET: (ASCII, b"+05:00\0")}
    assert photo_facts(jpeg(exif(exif=tags))).date == "2024-01-01T00:00:00"
    for written, offset in {
        b"-03:30\0": "-03:30",
        b"Z\0": "+00:00",
        b"   :  \0": "",
        b"+99:00\0": "",
        b"x\0": "",
    }.items():
        tags[OFFSET_ORIGINAL] = (ASCII, written)
        assert photo_facts(jpeg(exif(exif=tags))).date == "2024-01-01T00:00:00" + offset


@pytest.mark.parametrize(
    ("written", "date"),
    [
        (b"2024:05:17 14:03:22", "2024-05-17T14:03:22"),
        (b"2024:05:17 14:03:22\0garbage", "2024-05-17T14:03:22"),
        (b"2024-05-17T14:03:22+02:00\0", "2024-05-17T14:03:22+02:00"),
        (b"2024/05/17 14:03:22.51\0", "2024-05-17T14:03:22"),
        (b"2024:05:17 14:03\0", "2024-05-17T14:03:00"),
        (b"2024:05:17          \0", "2024-05-17T00:00:00"),
        (b"2024:05:17 24:00:00\0", "2024-05-17T00:00:00"),
        (b"2024:05:17 24:12:33\0", "2024-05-17T00:12:33"),
        (b"2016:12:31 23:59:60\0", "2016-12-31T23:59:59"),
        (b"2023:02:29 10:00:00\0", None),
        (b"2024:05:17 25:00:00\0", None),
        (b"2024:05:17 10:61:00\0", None),
        (b"2024:05:17 10:00:61\0", None),
        (b"0000:00:00 00:00:00\0", None),
        (b"0001:01:01 00:00:00\0", None),
        (b"\0" * 20, None),
        (b" " * 20, None),
        (b"\xff" * 20, None),
        ("２０２４:05:17 10:00:00\0".encode(), None),
        (b"yesterday afternoon\0", None),
    ],
)
def test_dates_as_cameras_write_them(written, date):
    assert photo_facts(jpeg(exif(exif={ORIGINAL: (ASCII, written)}))).date == date


def test_dates_of_another_type_are_absent():
    assert photo_facts(jpeg(exif(exif={ORIGINAL: (LONG, 20240517)}))) == NOTHING


ROME = [41, 1, 53, 1, 2424, 100]
EAST = [12, 1, 29, 1, 3200, 100]


@pytest.mark.parametrize(
    ("latitude", "longitude", "refs", "expected"),
    [
        (ROME, EAST, (b"N\0", b"E\0"), (41.8900667, 12.4922222)),
        (ROME, EAST, (b"S\0", b"W\0"), (-41.8900667, -12.4922222)),
        (ROME, EAST, (b"north", b"e"), (41.8900667, 12.4922222)),
        ([415, 10], [125, 10], (b"N\0", b"E\0"), (41.5, 12.5)),
        ([41, 1, 305, 10, 0, 0], [12, 1, 30, 1, 0, 0], (b"N\0", b"E\0"), (41.5083333, 12.5)),
        ([41, 1, 59, 1, 60, 1], EAST, (b"N\0", b"E\0"), (42.0, 12.4922222)),
        ([41, 1, 53, 1, 2424, 1], EAST, (b"N\0", b"E\0"), (None, None)),
        ([41, 1, 61, 1, 0, 1], EAST, (b"N\0", b"E\0"), (None, None)),
        ([41, 0, 53, 1, 0, 1], EAST, (b"N\0", b"E\0"), (None, None)),
        ([0, 0, 0, 0, 0, 0], EAST, (b"N\0", b"E\0"), (None, None)),
        ([41, 1, 53, 0, 0, 1], EAST, (b"N\0", b"E\0"), (None, None)),
        ([91, 1, 0, 1, 0, 1], EAST, (b"N\0", b"E\0"), (None, None)),
        ([90, 1, 0, 1, 1, 1], EAST, (b"N\0", b"E\0"), (None, None)),
        ([90, 1, 0, 1, 0, 1], [180, 1, 0, 1, 0, 1], (b"S\0", b"W\0"), (-90.0, -180.0)),
        ([0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1], (b"N\0", b"E\0"), (None, None)),
        ([0, 1, 0, 1, 0, 1], EAST, (b"S\0", b"E\0"), (0.0, 12.4922222)),
        (ROME, EAST, (b"\0\0", b"E\0"), (None, None)),
        (ROME, EAST, (b"E\0", b"N\0"), (None, None)),
        (ROME, EAST, (b"?\0", b"\xff\0"), (None, None)),
    ],
)
def test_places_as_cameras_write_them(latitude, longitude, refs, expected):
    facts = photo_facts(jpeg(exif(gps=place(latitude, longitude, refs))))
    assert (facts.latitude, facts.longitude) == expected
    assert str(facts.latitude) != "-0.0"


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_place_needs_both_coordinates_and_their_hemispheres(missing):
    tags = place(ROME, EAST)
    del tags[missing]
    assert photo_facts(jpeg(exif(gps=tags))) == NOTHING


def test_a_receiver_without_a_fix_gives_no_place():
    assert photo_facts(jpeg(exif(gps={**place(ROME, EAST), 9: (ASCII, b"V\0")}))) == NOTHING
    assert photo_facts(jpeg(exif(gps={**place(ROME, EAST), 9: (ASCII, b"A\0")}))).latitude is not None


WHOLE = exif(
    {DATE_TIME: (ASCII, b"2024:01:03 00:00:00\0")}, {ORIGINAL: (ASCII, b"2024:01:01 00:00:00\0")}, place(ROME, EAST)
)


def quiet(data: bytes) -> PhotoFacts:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return photo_facts(data)


@pytest.mark.parametrize("wrap", [jpeg, bytes], ids=["jpeg", "tiff"])
def test_truncated_exif_is_read_as_far_as_it_goes(wrap):
    for size in range(len(WHOLE)):
        facts = quiet(wrap(WHOLE[:size]))
        assert facts.date in (None, "2024-01-01T00:00:00", "2024-01-03T00:00:00")
        assert facts.latitude in (None, 41.8900667)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8), st.booleans())
def test_damaged_exif_raises_nothing_and_warns_of_nothing(changes, in_jpeg):
    damaged = bytearray(WHOLE)
    for position, value in changes:
        damaged[position] = value
    facts = quiet(jpeg(bytes(damaged)) if in_jpeg else bytes(damaged))
    assert facts.latitude is None or abs(facts.latitude) <= 90


@given(st.binary(max_size=200))
def test_any_bytes_are_photos_without_facts(data):
    for start in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1"):
        quiet(start + data)


def test_directories_that_point_at_each_other_end():
    loop = b"II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHII", 0x8769, LONG, 1, 8) * 2 + struct.pack("<I", 8)
    assert quiet(loop) == quiet(jpeg(loop)) == NOTHING


def test_huge_counts_cost_nothing():
    size = 40_000_000
    entries = [
        (ORIGINAL, ASCII, size - 100),
        (1, ASCII, size - 100),
        (2, RATIONAL, size // 8 - 100),
        (4, LONG, size // 4),
    ]
    entries += [(0x8825, LONG, 1), (0x8769, LONG, 2**32 - 1)]
    block = b"II*\0" + struct.pack("<IH", 8, 65_535) + b"".join(struct.pack("<HHII", *each, 8) for each in entries)
    data = block + bytes(size - len(block))
    tracemalloc.start()
    assert quiet(data) == NOTHING
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_decoder_is_made_for_the_facts_where_it_could_make_room_for_pixels(monkeypatch, name):
    written = Image.Exif()
    written[DATE_TIME] = "2024:05:17 14:03:22"
    data = encoded(name, exif=written.tobytes())
    monkeypatch.setattr(Image, "open", None)
    assert photo_facts(data).date == "2024-05-17T14:03:22"


def test_a_png_of_many_empty_chunks_ends():
    assert quiet(b"\x89PNG\r\n\x1a\n" + (bytes(4) + b"teSt" + bytes(4)) * 1_000_000) == NOTHING
