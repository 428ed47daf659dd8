"""Where sources lie: paths, and addresses that fsspec opens (s3://, gs://, http(s)://), read alike."""

import errno
import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from openalign.data.files import remote
from openalign.errors import OpenAlignError

Place = Path | str
"""A file or folder: a path, or an address as a string."""

_BLOCK_BYTES = 1 << 18
"""Read at once from an address: an image is mostly smaller, and a file that is read through is read ahead."""


def place_of(name: str) -> Place:
    """The place that a name stands for."""
    return name if remote.is_url(name) else Path(name)


def full_name(place: Place) -> str:
    """The name by which another process finds the place."""
    return place if isinstance(place, str) else str(place.absolute())


def places_of(source: str) -> list[Place]:
    """The places that a source names; a pattern is one only where no file has just that name.

    Raises OpenAlignError if there is none.
    """
    if remote.is_url(source):
        return list(remote.matching(source))
    if Path(source).exists():
        return [Path(source)]
    if not glob.has_magic(source):
        raise OpenAlignError(f"{source} does not exist.")
    paths: list[Place] = sorted(map(Path, glob.glob(source, recursive=True)))  # noqa: PTH207 - absolute patterns as well
    if not paths:
        raise OpenAlignError(f"{source} matches no file.")
    return paths


def is_folder(place: Place) -> bool:
    return remote.is_folder(place) if isinstance(place, str) else place.is_dir()


@contextmanager
def opened(place: Place) -> Iterator[BinaryIO]:
    """The bytes of a file, seekable. Raises OSError for a path, OpenAlignError for an address."""
    if isinstance(place, str):
        with remote.opened(place, _BLOCK_BYTES) as stream:
            yield cast(BinaryIO, stream)
        return
    if place.is_fifo():  # opening it would wait for a writer
        raise OSError(errno.EINVAL, "not a regular file")
    with place.open("rb") as stream:
        yield stream


def beside(place: Place, name: str) -> Place:
    """The place of that name (a path with slashes) in the folder where `place` lies."""
    if isinstance(place, Path):
        return place.parent / name
    return f"{place.rpartition('/')[0]}/{name.removeprefix('./')}"


def within(folder: Place, name: str) -> Place:
    """The place of that name (a path with slashes) below `folder`."""
    return folder / name if isinstance(folder, Path) else f"{folder.rstrip('/')}/{name}"


def location_of(file: Place) -> str:
    """The file as `Extracted.images` names it."""
    return f"{'file' if isinstance(file, Path) else 'at'}://{full_name(file)}"


def bytes_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Up to `size` bytes from `offset` on; the stream stays where it was."""
    before = stream.tell()
    stream.seek(offset)
    data = stream.read(size)
    stream.seek(before)
    return data
