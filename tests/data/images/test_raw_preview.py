"""RAW files of cameras: the preview in them is found, turned once, and hostile ones end with a reason.

The files are made as the formats lay them out, with a JPEG for the preview and noise for the values of the sensor.
"""

import io
import struct
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openalign.data.images.decode import decode
from openalign.data.images.header import ImageError, ImageHeader, read_header
from openalign.data.images.photo import photo_facts
from openalign.data.images.raw_preview import raw_preview
from openalign.data.images.rgb import upright
from openalign.data.pairs.open import open_pairs

KIND, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, MAKE = 0xFE, 0x100, 0x101, 0x103, 0x106, 0x10F
STRIPS, ORIENTATION, STRIP_SIZES, FURTHER, EXIF = 0x111, 0x112, 0x117, 0x14A, 0x8769
JPEG, JPEG_SIZE, PANASONIC_JPEG, DNG_VERSION, DATE = 0x201, 0x202, 0x2E, 0xC612, 0x9003
FILTER_ARRAY = 32803
SENSOR = np.random.default_rng(0).integers(0, 256, 400, np.uint8).tobytes()


CANON = b"II*\0\x10\0\0\0CR\x02\0\0\0\0\0"


class Data(bytes):
    """A value that is the offset of these bytes."""


class Size(bytes):
    """A value that is the size of these bytes."""


def picture(width: int, height: int) -> np.ndarray:
    """Red above green, with a blue left half below."""
    pixels = np.full((height, width, 3), (250, 10, 10), np.uint8)
    pixels[height // 2 :] = (10, 250, 10)
    pixels[height // 2 :, : width // 2] = (10, 10, 250)
    return pixels


def jpeg(width: int, height: int, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(width, height)).save(stream, "JPEG", quality=95, subsampling=0, **options)
    return stream.getvalue()


def with_orientation(orientation: int) -> bytes:
    written = Image.Exif()
    written[ORIENTATION] = orientation
    return written.tobytes()


PREVIEW, THUMBNAIL = jpeg(96, 64), jpeg(32, 16)
LOSSLESS = b"\xff\xd8\xff\xc4\0\x04\0\0\xff\xc3\0\x0b\x0e\x10\0\x10\0\x01\x01\x11\0" + SENSOR
"""The sensor's values of many cameras: a JPEG of lossless kind, 4096 x 4096 and 14 bits."""


class Writer:
    """The blocks of a TIFF-like file, one behind the other, and where each value was placed."""

    def __init__(self, order: str, reserved: int) -> None:
        self.order = order
        self.blocks: list[bytes] = [bytes(16 + reserved) if reserved else bytes(8)]
        self._placed: dict[bytes, int] = {}

    def place(self, block: bytes) -> int:
        self.blocks.append(block + bytes(len(block) % 2))
        return sum(map(len, self.blocks[:-1]))

    def directory(self, tags: dict[int, Any], following: int) -> int:
        return self.place(self.packed(tags, following))

    def packed(self, tags: dict[int, Any], following: int) -> bytes:
        entries = b"".join(self._entry(tag, value) for tag, value in sorted(tags.items()))
        return self._pack("H", len(tags)) + entries + self._pack("I", following)

    def _entry(self, tag: int, value: Any) -> bytes:
        if isinstance(value, list | dict):
            inner = [self.directory(each, 0) for each in (value if isinstance(value, list) else [value])]
            at = inner[0] if len(inner) == 1 else self.place(self._pack(f"{len(inner)}I", *inner))
            return self._pack("HHII", tag, 4, len(inner), at)
        if isinstance(value, Size):
            return self._pack("HHII", tag, 4, 1, len(value))
        if isinstance(value, Data):
            self._placed[value] = self._placed.get(value) or self.place(value)
            kind, count = (7, len(value)) if tag == PANASONIC_JPEG else (4, 1)
            return self._pack("HHII", tag, kind, count, self._placed[value])
        if isinstance(value, tuple):
            return self._pack("HHII", tag, 5, 3, self.place(self._pack("6I", *value)))
        if isinstance(value, str) and len(value) < 4:
            return self._pack("HHI", tag, 2, len(value) + 1) + value.encode().ljust(4, b"\0")
        if isinstance(value, str):
            text = value.encode() + b"\0"
            return self._pack("HHII", tag, 2, len(text), self.place(text))
        if tag in (COMPRESSION, PHOTOMETRIC, ORIENTATION):
            return self._pack("HHIHH", tag, 3, 1, value, 0)
        return self._pack("HHII", tag, 4, 1, value)

    def _pack(self, form: str, *values: Any) -> bytes:
        return struct.pack(self.order + form, *values)


def raw(*directories: dict[int, Any], start: bytes = b"II*\0", order: str = "<") -> bytes:
    """A file of linked directories; a value is a number, a text, `Data`, `Size`, or a dictionary: a further one.

    Every value that is no number lies behind all directories, a further directory behind those.
    """
    reserved = 2 + 12 * len(directories[0]) + 4 if start == CANON else 0  # CR2's first directory follows its mark
    writer = Writer(order, reserved)
    following = 0
    for tags in reversed(directories[1:]):
        following = writer.directory(tags, following)
    first = writer.packed(directories[0], following)
    if reserved:
        return CANON + first + b"".join(writer.blocks)[len(CANON) + len(first) :]
    at = writer.place(first)
    return start + struct.pack(f"{order}I", at) + b"".join(writer.blocks)[8:]


def as_strip(data: bytes) -> dict[int, Any]:
    return {COMPRESSION: 7, STRIPS: Data(data), STRIP_SIZES: Size(data)}


def as_interchange(data: bytes) -> dict[int, Any]:
    return {JPEG: Data(data), JPEG_SIZE: Size(data)}


def sensor(width: int = 6000, height: int = 4000) -> dict[int, Any]:
    return {WIDTH: width, HEIGHT: height, PHOTOMETRIC: FILTER_ARRAY, **as_strip(LOSSLESS)}


RGB_THUMBNAIL = {KIND: 1, WIDTH: 2, HEIGHT: 2, COMPRESSION: 1, PHOTOMETRIC: 2, STRIPS: Data(bytes(12)), STRIP_SIZES: 12}
DATED = {EXIF: {DATE: "2024:05:17 14:03:22"}}


def nef(orientation: int = 1, preview: bytes = PREVIEW, order: str = ">") -> bytes:
    start = b"MM\0*" if order == ">" else b"II*\0"
    main = {**RGB_THUMBNAIL, **DATED, ORIENTATION: orientation, FURTHER: [as_interchange(preview), sensor()]}
    return raw(main, start=start, order=order)


def raf(preview: bytes) -> bytes:
    head = b"FUJIFILMCCD-RAW 0201FF383501".ljust(84, b"\0")
    return head + struct.pack(">II", 160, len(preview)) + bytes(160 - 92) + preview + SENSOR


def cr3(preview: bytes) -> bytes:
    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + name + content

    canon = box(b"CMT1", raw({MAKE: "Canon"})) + box(b"CMT2", raw({DATE: "2024:05:17 14:03:22"}))
    canon += box(b"CMT4", raw({1: "S", 2: (33, 1, 30, 1, 0, 1), 3: "E", 4: (151, 1, 15, 1, 0, 1)}))
    canon += box(b"THMB", THUMBNAIL)
    return box(b"ftyp", b"crx \0\0\0\x01crx isom") + box(b"moov", box(b"uuid", canon)) + box(b"mdat", preview + SENSOR)


FILES = {
    "nef": nef(),
    "dng": raw({**RGB_THUMBNAIL, **DATED, DNG_VERSION: 0x401, FURTHER: [sensor(), as_strip(PREVIEW)]}),
    "dng with the preview first": raw({**as_strip(PREVIEW), **DATED, DNG_VERSION: 0x401, FURTHER: sensor()}),
    "arw": raw({**as_interchange(PREVIEW), **DATED, FURTHER: sensor()}, as_interchange(THUMBNAIL)),
    "cr2": raw({**as_strip(PREVIEW), COMPRESSION: 6, **DATED}, as_interchange(THUMBNAIL), sensor(), start=CANON),
    "pef": raw({**sensor(), **DATED}, as_interchange(THUMBNAIL), as_interchange(PREVIEW), start=b"MM\0*", order=">"),
    "rw2": raw({PANASONIC_JPEG: Data(PREVIEW), **DATED}, start=b"IIU\0"),
    "orf": raw({**DATED, STRIPS: Data(SENSOR)}, as_interchange(THUMBNAIL), start=b"IIRO") + SENSOR + PREVIEW + SENSOR,
    "raf": raf(jpeg(96, 64, exif=Image.Exif())),
    "cr3": cr3(PREVIEW),
}


@pytest.mark.parametrize("name", FILES)
def test_the_largest_preview_of_a_raw_file_is_read(name):
    data = FILES[name]
    assert read_header(data) == ImageHeader("raw", 96, 64)
    np.testing.assert_allclose(decode(data).astype(int), picture(96, 64).astype(int), atol=40)
    assert decode(data, 32).shape == (32, 48, 3)


@pytest.mark.parametrize("name", [name for name in FILES if name != "raf"])
def test_the_date_of_a_raw_file_is_read(name):
    assert photo_facts(FILES[name]).date == "2024-05-17T14:03:22"


def test_the_place_of_a_cr3_is_read():
    facts = photo_facts(FILES["cr3"])
    assert (facts.latitude, facts.longitude) == (-33.5, 151.25)


def test_the_facts_of_a_raf_are_those_of_its_preview():
    written = Image.Exif()
    written[0x132] = "2024:05:17 14:03:22"
    assert photo_facts(raf(jpeg(96, 64, exif=written))).date == "2024-05-17T14:03:22"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_preview_without_an_orientation_of_its_own_is_turned_as_the_raw_file_says(orientation, order):
    expected = upright(picture(96, 64), orientation).astype(int)
    np.testing.assert_allclose(decode(nef(orientation, order=order)).astype(int), expected, atol=40)


@pytest.mark.parametrize(("own", "outer"), [(6, 6), (8, 8), (3, 3), (6, 1), (1, 6)])
def test_a_preview_with_an_orientation_of_its_own_is_turned_once(own, outer):
    expected = upright(picture(96, 64), own).astype(int)
    data = nef(outer, jpeg(96, 64, exif=with_orientation(own)))
    np.testing.assert_allclose(decode(data).astype(int), expected, atol=40)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_preview_that_the_camera_has_turned_is_not_turned_again(orientation):
    np.testing.assert_allclose(decode(nef(orientation, jpeg(64, 96))).astype(int), picture(64, 96).astype(int), atol=40)


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    assert decode(nef(orientation)).shape == (64, 96, 3)


def test_a_plain_tiff_is_no_raw_file():
    for options in ({}, {"compression": "jpeg"}, {"compression": "tiff_lzw"}):
        stream = io.BytesIO()
        Image.fromarray(picture(32, 16)).save(stream, "TIFF", **options)
        assert raw_preview(stream.getvalue()) is None
        assert read_header(stream.getvalue()).format == "tiff"


def test_a_raw_file_without_a_preview_gives_its_reason():
    for data in (
        raw(sensor()),
        raw(sensor(), start=b"IIRO"),
        raf(SENSOR),
        FILES["raf"][:90],
        b"\0\0\0\x18ftypcrx " + bytes(100),
    ):
        with pytest.raises(ImageError, match=r"^camera RAW without a preview$"):
            decode(data)


def test_a_truncated_preview_gives_its_reason():
    data = raf(PREVIEW)[: 160 + len(PREVIEW) - 200]
    with pytest.raises(ImageError, match=r"^truncated JPEG in camera RAW$"):
        decode(data)


def test_raw_files_of_a_folder_are_its_images(tmp_path: Path):
    for number, name in enumerate(("a.NEF", "b.dng", "c.cr3", "d.raf")):
        (tmp_path / name).write_bytes(list(FILES.values())[number])
    pairs = open_pairs(tmp_path, need_text=False)
    assert pairs.table["image"].to_pylist() == ["a.NEF", "b.dng", "c.cr3", "d.raf"]
    assert not pairs.problems


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_damage_raises_only_image_errors_and_warns_of_nothing(name, changes, kept):
    damaged = bytearray(FILES[name])
    for position, value in changes:
        damaged[int(position * min(300, len(damaged) - 1))] = value
    data = bytes(damaged[: 8 + int(kept * len(damaged))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with suppress(ImageError):
            assert decode(data).shape[2] == 3
        photo_facts(data)


def test_directories_that_point_at_each_other_end():
    loop = struct.pack("<HHHII", 1, FURTHER, 4, 1, 8) + struct.pack("<I", 8)
    assert raw_preview(b"IIRO" + struct.pack("<I", 8) + loop) is None
    many = struct.pack("<HHHII", 1, FURTHER, 4, 100_000, 26) + struct.pack("<I", 8)
    assert raw_preview(b"IIRO" + struct.pack("<I", 8) + many + struct.pack("<I", 8) * 100_000) is None


@pytest.mark.parametrize(
    "filler", [b"\xff\xd8\xff\xe0\0\x02", b"\xff\xd8\xff\xff", b"\xff\xd8\xff\xe1\xff\xff", b"\xff"]
)
def test_many_beginnings_of_jpegs_end(filler: bytes):
    assert raw_preview(b"IIRO\x08\0\0\0\0\0" + filler * (8_000_000 // len(filler))) is None


def test_the_largest_of_several_previews_is_taken_wherever_it_stands():
    for sizes in ([(32, 16), (96, 64)], [(96, 64), (32, 16)]):
        assert read_header(raw(*map(interchange_of, sizes), sensor())).width == 96


def interchange_of(size: Sequence[int]) -> dict[int, Any]:
    return as_interchange(jpeg(*size))
