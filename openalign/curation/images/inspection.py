"""Inspection of images: each is read and decoded once, measured, fingerprinted, and kept as the JPEG for a shard.

Plain functions over the batches of a table. A worker writes the JPEGs to a file of its own; only measurements travel.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from openalign.curation.images.fingerprint import perceptual_hash, thumbnails
from openalign.curation.images.settings import StorageSettings
from openalign.curation.isolation.records import one_record
from openalign.curation.isolation.time_limit import call_with_time_limit
from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.storage import PathOrUrl, absolute_name
from openalign.data.files.open_files import OpenFiles
from openalign.data.files.walk import file_states
from openalign.data.images.decode import decode
from openalign.data.images.header import ImageError, read_header
from openalign.data.images.stored_jpeg import is_stored_unchanged, stored_jpeg
from openalign.errors import OpenAlignError
from openalign.files import whole_file

INSPECTED = pa.schema(
    [
        ("image", pa.string()),
        ("location", pa.string()),  # of the bytes; null: not available
        ("problem", pa.string()),  # why the image cannot be used; null: it can
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("hash", pa.int64()),  # the 64 bits as a signed number, which every engine can read
        ("thumbnail", pa.binary()),
        ("colours", pa.binary()),
        ("stored_in", pa.string()),  # the file with the JPEG to keep, beside this one; null: none
        ("stored_at", pa.int64()),
        ("stored_size", pa.int64()),
    ]
)
"""One row per inspected image. A field that could not be determined is null."""

STORED_COLUMNS = ("stored_in", "stored_at", "stored_size")

_SMALLEST_DECODED = 128  # px of the shorter side of an image that is only measured

# Limits of images that are decoded in about a second at most; pixels of all scans.
_QUICK_BYTES, _QUICK_PIXELS = 4 << 20, 64_000_000
_QUICK_FORMATS = ("jpeg", "png", "gif", "webp", "bmp")
_START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class Inspection:
    """What was found out about one image; `stored` is the JPEG to keep, None when none was asked for."""

    sha256: str
    problem: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    hash: int | None = None
    thumbnail: bytes | None = None
    colours: bytes | None = None
    stored: bytes | None = None


def inspect_image(data: bytes, wanted: bool, seconds: float, storage: StorageSettings) -> Inspection:
    """Inspect the bytes of one image; `wanted` asks for a JPEG to store. What is wrong with them is its `problem`.

    An image that cannot be decoded has no size either, whatever its header claims. One that may take long is inspected
    in the helper process of `isolation.time_limit`. Raises RecordError if that takes more than `seconds` of CPU time.
    """
    if _is_quick(data):
        return inspect_here(data, wanted, storage)
    return call_with_time_limit(inspect_here, data, wanted, storage, seconds=seconds, setting="image_seconds")


def _is_quick(data: bytes) -> bool:
    """Whether decoding takes about a second at most, by size and format alone."""
    if len(data) > _QUICK_BYTES:
        return False
    try:
        header = read_header(data)
    except ImageError:
        return True  # it is decoded no further
    # Each scan of a JPEG goes over all its pixels, and a marker starts each.
    times = max(1, data.count(_START_OF_SCAN)) if header.format == "jpeg" else 1
    return header.format in _QUICK_FORMATS and header.width * header.height * times <= _QUICK_PIXELS


def inspect_here(data: bytes, wanted: bool, storage: StorageSettings) -> Inspection:
    """`inspect_image` in this process, however long it takes."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header = read_header(data)
        encoded = wanted and not is_stored_unchanged(header, storage.stored_shorter_side)
        pixels = decode(data, storage.stored_shorter_side if encoded else _SMALLEST_DECODED)
    except ImageError as error:
        return Inspection(sha256, error.reason)
    grey, colours = thumbnails(pixels)
    stored = None
    if wanted:
        stored = stored_jpeg(data, header, pixels, storage.stored_shorter_side, storage.jpeg_quality)
    return Inspection(
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
    """The JPEGs that workers wrote to `folder`, read by any number of threads. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = OpenFiles()

    def __enter__(self) -> "StoredImages":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def read(self, row: Mapping[str, Any]) -> bytes:
        """The JPEG of a row of `INSPECTED` whose `stored_in` is not null.

        Raises OpenAlignError if its file is gone or was cut off since.
        """
        file, size = self._folder / row["stored_in"], row["stored_size"]
        data = self._files.read(file, row["stored_at"], size)
        if len(data) < size:
            raise OpenAlignError(f"{file} was cut off after it was written: delete {self._folder} and run again")
        return data


def inspect_batch(rows: pa.Table, beside: Path, seconds: float, storage: StorageSettings) -> pa.Table:
    """Inspect images (columns `image`, `location`, `wanted`, `problem`): `INSPECTED`. JPEGs go to a file `beside`.

    An image that has a `problem` already keeps it.
    """
    inspected = []
    stored_in = beside.with_suffix(".images")
    with whole_file(stored_in) as partial_file, partial_file.open("wb") as file:
        for asked in rows.to_pylist():
            row = {"image": asked["image"], "location": asked["location"], "problem": asked["problem"]}
            if asked["problem"] is None:
                found = _inspect(asked["location"], asked["wanted"], seconds, storage)
                if isinstance(found, Inspection):
                    row |= {name: getattr(found, name) for name in _MEASURED}
                    if found.stored is not None:
                        values = (stored_in.name, file.tell(), len(found.stored))
                        row |= dict(zip(STORED_COLUMNS, values, strict=True))
                        file.write(found.stored)
                else:
                    row["problem"] = found.reason
            inspected.append(row)
    return pa.Table.from_pylist(inspected, schema=INSPECTED)


def file_states_of(rows: pa.Table) -> dict[str, list[str]]:
    """The state of each file that a column `location` names, a fetched image, a WARC file or a shard."""
    files = {parse_location(location).file for location in rows["location"].to_pylist() if location is not None}
    return {absolute_name(file): _states(file) for file in sorted(files, key=absolute_name)}


def _states(file: PathOrUrl) -> list[str]:
    try:
        return list(file_states(file))
    except (OpenAlignError, OSError):
        return []  # reading it will fail as well, which is the problem of the image


@one_record
def _inspect(location: str, wanted: bool, seconds: float, storage: StorageSettings) -> Inspection:
    return inspect_image(parse_location(location).read(), wanted, seconds, storage)


_MEASURED = ("problem", "format", "width", "height", "sha256", "hash", "thumbnail", "colours")
