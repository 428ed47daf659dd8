"""Looking at images: each is read, decoded once, measured, fingerprinted, and kept as the JPEG that a shard will hold.

Plain functions over Arrow batches, in a pool of processes. What is to be stored goes straight from the worker to a file
of its own; only measurements travel.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from openalign.curate.batches import map_batches
from openalign.curate.duplicates import perceptual_hash, thumbnails
from openalign.curate.settings import CurateSettings
from openalign.curate.sources import read_image
from openalign.data.images import ImageError, decode, encode_jpeg, read_header, shrink
from openalign.errors import OpenAlignError

JUDGED = pa.schema(
    [
        ("image", pa.string()),
        ("location", pa.string()),  # where the bytes lie; null: nowhere at hand
        ("problem", pa.string()),  # why the image cannot be used; null: it can
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("hash", pa.uint64()),
        ("thumbnail", pa.binary()),
        ("colours", pa.binary()),
        ("stored_in", pa.string()),  # the file with the JPEG to keep; null: no pair of this image can be kept
        ("stored_at", pa.int64()),
        ("stored_size", pa.int64()),
    ]
)
"""One row a judged image. A field that could not be found out is null."""

_SMALLEST_DECODED = 128  # px of the shorter side of an image that is only measured


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


def look(data: bytes, wanted: bool, settings: CurateSettings) -> Look:
    """Judge the bytes of one image. Never raises for what is wrong with them: that is `problem`.

    An image that cannot be decoded has no size either, whatever its header claims.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header = read_header(data)
        pixels = decode(data, settings.stored_shorter_side if wanted else _SMALLEST_DECODED)
    except ImageError as error:
        return Look(sha256, error.reason)
    grey, colours = thumbnails(pixels)
    stored = None
    if wanted and header.format == "jpeg" and min(header.width, header.height) <= settings.stored_shorter_side:
        stored = data
    elif wanted:
        stored = encode_jpeg(shrink(pixels, settings.stored_shorter_side), settings.jpeg_quality)
    return Look(
        sha256,
        None,
        header.format,
        header.width,
        header.height,
        hash=int(perceptual_hash(grey)),
        thumbnail=grey.tobytes(),
        colours=colours.tobytes(),
        stored=stored,
    )


class StoredImages:
    """The JPEGs that workers left behind: few files, read at known places. A context manager."""

    def __init__(self) -> None:
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "StoredImages":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, row: Mapping[str, Any]) -> bytes:
        """The JPEG of a row of `JUDGED` whose `stored_in` is not null."""
        path = row["stored_in"]
        if path not in self._files:
            opened = Path(path).open("rb")  # noqa: SIM115 - the stack closes it
            self._files[path] = self._stack.enter_context(opened)
        self._files[path].seek(row["stored_at"])
        return self._files[path].read(row["stored_size"])


def judge_images(
    batches: Iterable[pa.RecordBatch], work: Path, workers: int, settings: CurateSettings
) -> Iterator[pa.RecordBatch]:
    """Judge batches of images (columns `image`, `location`, `wanted`, `problem`) in order: batches of `JUDGED`.

    An image with a `problem` already is passed on with it. JPEGs to keep are appended to files in `work`.
    """
    return map_batches(partial(judge_batch, work=work, settings=settings), batches, workers)


def judge_batch(batch: pa.RecordBatch, work: Path, settings: CurateSettings) -> pa.RecordBatch:
    """Judge one batch; what is to be kept is appended to this process's file in `work`."""
    stored_in = work / f"images-{os.getpid()}.bin"
    rows = []
    with stored_in.open("ab") as file:
        for asked in batch.to_pylist():
            row = {"image": asked["image"], "location": asked["location"], "problem": asked["problem"]}
            if asked["problem"] is None:
                seen = _look_at(asked["location"], asked["wanted"], settings)
                if isinstance(seen, Look):
                    row |= {name: getattr(seen, name) for name in _SEEN}
                    if seen.stored is not None:
                        row |= {"stored_in": str(stored_in), "stored_at": file.tell(), "stored_size": len(seen.stored)}
                        file.write(seen.stored)
                else:
                    row["problem"] = seen
            rows.append(row)
    return pa.RecordBatch.from_pylist(rows, schema=JUDGED)


def _look_at(location: str, wanted: bool, settings: CurateSettings) -> Look | str:
    try:
        return look(read_image(location), wanted, settings)
    except OpenAlignError as error:
        return str(error)


_SEEN = ("problem", "format", "width", "height", "sha256", "hash", "thumbnail", "colours")
