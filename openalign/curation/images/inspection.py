"""Inspection of images: each is read and decoded once, measured, fingerprinted, and kept as the JPEG for a shard.

Plain functions over the batches of a table. A worker writes the JPEGs to a file of its own; only measurements travel.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from openalign.curation.images.earlier import INDEX_SUFFIX, Inspected, finder, index_entry, key_of
from openalign.curation.images.settings import StorageSettings
from openalign.curation.isolation.records import Problem, one_record
from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.storage import PathOrUrl, absolute_name
from openalign.data.files.open_files import OpenFiles
from openalign.data.files.walk import file_states
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.version import __version__

if TYPE_CHECKING:
    from openalign.curation.images.single_image import Inspection

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
        ("frames", pa.int32()),  # pages or frames, of which the first is looked at
        ("stored_in", pa.string()),  # the file with the JPEG to keep, beside this one; null: none
        ("stored_at", pa.int64()),
        ("stored_size", pa.int64()),
    ]
)
"""One row per inspected image. A field that could not be determined is null."""

STORED_COLUMNS = ("stored_in", "stored_at", "stored_size")
FINGERPRINT_COLUMNS = ("hash", "thumbnail", "colours")


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


def inspect_batch(
    rows: pa.Table, beside: Path, seconds: float, storage: StorageSettings, earlier: tuple[str, ...] = ()
) -> pa.Table:
    """Inspect images (columns `image`, `location`, `wanted`, `problem`): `INSPECTED`. JPEGs go to a file `beside`.

    An image that has a `problem` already keeps it. One that is found in the results called `earlier`, which lie in the
    same folder, is not inspected again.
    """
    find = finder(beside.parent, earlier)
    states = file_states_of(rows)
    depends_on = [__version__, seconds, storage.stored_shorter_side, storage.jpeg_quality]
    inspected, index = [], []
    stored_in = beside.with_suffix(".images")
    with whole_file(stored_in) as partial_file, partial_file.open("wb") as file:
        for asked in rows.to_pylist():
            key = key_of(asked, states.get(_file_name(asked["location"]), []), depends_on)
            row, jpeg = _known_or_inspected(find(key) if earlier else None, asked, seconds, storage)
            if jpeg is not None:
                row |= dict(zip(STORED_COLUMNS, (stored_in.name, file.tell(), len(jpeg)), strict=True))
                file.write(jpeg)
            inspected.append(row)
            index.append(index_entry(key, jpeg))
    with whole_file(beside.with_suffix(INDEX_SUFFIX), durable=False) as partial_file:
        partial_file.write_bytes(b"".join(index))
    return pa.Table.from_pylist(inspected, schema=INSPECTED)


def _known_or_inspected(
    known: Inspected | None, asked: Mapping[str, Any], seconds: float, storage: StorageSettings
) -> tuple[dict[str, Any], bytes | None]:
    """The row of `INSPECTED` but for where the JPEG is stored, and the JPEG to keep, if there is one."""
    if known is not None:
        return dict(known.row) | dict.fromkeys(STORED_COLUMNS), known.jpeg
    row = {"image": asked["image"], "location": asked["location"], "problem": asked["problem"]}
    if asked["problem"] is not None:
        return row, None
    found = _inspect(asked["location"], asked["wanted"], seconds, storage)
    if isinstance(found, Problem):
        return row | {"problem": found.reason}, None
    return row | {name: getattr(found, name) for name in _MEASURED}, found.stored


def _file_name(location: str | None) -> str:
    return "" if location is None else absolute_name(parse_location(location).file)


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
def _inspect(location: str, wanted: bool, seconds: float, storage: StorageSettings) -> "Inspection":
    from openalign.curation.images.single_image import inspect_image  # imports torch

    return inspect_image(parse_location(location).read(), wanted, seconds, storage)


_MEASURED = ("problem", "format", "width", "height", "sha256", "hash", "thumbnail", "colours", "frames")
