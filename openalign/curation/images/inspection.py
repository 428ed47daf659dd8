"""Looking at images: each is read, decoded once, measured, fingerprinted, and kept as the JPEG that a shard will hold.

Plain functions over the pieces of a table. What is to be stored goes straight from the worker to a file of its own;
only measurements travel.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from openalign.curation.images.fingerprint import perceptual_hash, thumbnails
from openalign.curation.images.settings import ImageSettings, StorageSettings
from openalign.curation.isolation.records import one_record
from openalign.curation.isolation.time_limit import call_with_time_limit
from openalign.curation.sources.locations import parse_location
from openalign.data.files.open_files import OpenFiles
from openalign.data.images.decode import ImageError, decode, read_header
from openalign.data.images.stored_jpeg import is_stored_unchanged, stored_jpeg
from openalign.errors import OpenAlignError
from openalign.files import whole_file

JUDGED = pa.schema(
    [
        ("image", pa.string()),
        ("location", pa.string()),  # where the bytes lie; null: nowhere at hand
        ("problem", pa.string()),  # why the image cannot be used; null: it can
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("hash", pa.int64()),  # the 64 bits as a signed number, which every engine can read
        ("thumbnail", pa.binary()),
        ("colours", pa.binary()),
        ("stored_in", pa.string()),  # the file with the JPEG to keep, in the folder of pieces; null: none can be kept
        ("stored_at", pa.int64()),
        ("stored_size", pa.int64()),
    ]
)
"""One row a judged image. A field that could not be found out is null."""

_SMALLEST_DECODED = 128  # px of the shorter side of an image that is only measured

# What an image may have that takes about a second at most; pixels of all scans.
_QUICK_BYTES, _QUICK_PIXELS = 4 << 20, 64_000_000
_QUICK_FORMATS = ("jpeg", "png", "gif", "webp", "bmp")
_START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class Look:
    """What one image's bytes showed; `stored` is the JPEG to keep, None when none was asked for."""

    sha256: str
    problem: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    hash: int | None = None
    thumbnail: bytes | None = None
    colours: bytes | None = None
    stored: bytes | None = None


def look(data: bytes, wanted: bool, image: ImageSettings, storage: StorageSettings) -> Look:
    """Judge the bytes of one image. What is wrong with them is its `problem`.

    An image that cannot be decoded has no size either, whatever its header claims. One that may take long is looked at
    in the helper process of `apart`. Raises RecordError if that takes longer than `image_seconds`.
    """
    if _is_quick(data):
        return look_here(data, wanted, storage)
    return call_with_time_limit(look_here, data, wanted, storage, seconds=image.image_seconds, setting="image_seconds")


def _is_quick(data: bytes) -> bool:
    """Whether to look at an image takes about a second at most, by its size and format alone."""
    if len(data) > _QUICK_BYTES:
        return False
    try:
        header = read_header(data)
    except ImageError:
        return True  # it is decoded no further
    # Each scan of a JPEG goes over all its pixels, and a marker says where one starts.
    times = max(1, data.count(_START_OF_SCAN)) if header.format == "jpeg" else 1
    return header.format in _QUICK_FORMATS and header.width * header.height * times <= _QUICK_PIXELS


def look_here(data: bytes, wanted: bool, storage: StorageSettings) -> Look:
    """`look` in this process, however long it takes."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header = read_header(data)
        encoded = wanted and not is_stored_unchanged(header, storage.stored_shorter_side)
        pixels = decode(data, storage.stored_shorter_side if encoded else _SMALLEST_DECODED)
    except ImageError as error:
        return Look(sha256, error.reason)
    grey, colours = thumbnails(pixels)
    stored = None
    if wanted:
        stored = stored_jpeg(data, header, pixels, storage.stored_shorter_side, storage.jpeg_quality)
    return Look(
        sha256,
        None,
        header.format,
        header.width,
        header.height,
        hash=int(np.uint64(perceptual_hash(grey)).astype(np.int64)),
        thumbnail=grey.tobytes(),
        colours=colours.tobytes(),
        stored=stored,
    )


class StoredImages:
    """The JPEGs that workers left in `folder`, read at known places, from any number of threads. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = OpenFiles()

    def __enter__(self) -> "StoredImages":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def read(self, row: Mapping[str, Any]) -> bytes:
        """The JPEG of a row of `JUDGED` whose `stored_in` is not null.

        Raises OpenAlignError if its file is gone or was cut off since.
        """
        file, size = self._folder / row["stored_in"], row["stored_size"]
        data = self._files.read(file, row["stored_at"], size)
        if len(data) < size:
            raise OpenAlignError(f"{file} was cut off after it was written: delete {self._folder} and run again")
        return data


def judge_piece(rows: pa.Table, beside: Path, image: ImageSettings, storage: StorageSettings) -> pa.Table:
    """Judge images (columns `image`, `location`, `wanted`, `problem`): `JUDGED`. JPEGs to keep go to a file `beside`.

    An image with a `problem` already is passed on with it.
    """
    judged = []
    stored_in = beside.with_suffix(".images")
    with whole_file(stored_in) as partial_file, partial_file.open("wb") as file:
        for asked in rows.to_pylist():
            row = {"image": asked["image"], "location": asked["location"], "problem": asked["problem"]}
            if asked["problem"] is None:
                seen = _look_at(asked["location"], asked["wanted"], image, storage)
                if isinstance(seen, Look):
                    row |= {name: getattr(seen, name) for name in _SEEN}
                    if seen.stored is not None:
                        row |= {"stored_in": stored_in.name, "stored_at": file.tell(), "stored_size": len(seen.stored)}
                        file.write(seen.stored)
                else:
                    row["problem"] = seen.reason
            judged.append(row)
    return pa.Table.from_pylist(judged, schema=JUDGED)


@one_record
def _look_at(location: str, wanted: bool, image: ImageSettings, storage: StorageSettings) -> Look:
    return look(parse_location(location).read(), wanted, image, storage)


_SEEN = ("problem", "format", "width", "height", "sha256", "hash", "thumbnail", "colours")
