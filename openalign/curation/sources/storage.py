"""Local paths and URLs that fsspec opens (s3://, gs://, http(s)://), behind the same functions."""

import errno
import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import fsspec
import pyarrow.parquet as pq

from openalign.data.files import remote
from openalign.errors import OpenAlignError

PathOrUrl = Path | str
"""A file or folder: a local path, or a URL as a string."""

_BLOCK_BYTES = 1 << 18
"""Read at once from a URL: most images are smaller, and sequential reads are prefetched."""


def path_or_url(name: str) -> PathOrUrl:
    """`name` itself if it is a URL, else as a path."""
    return name if remote.is_url(name) else Path(name)


def absolute_name(file: PathOrUrl) -> str:
    """The absolute path or the URL, as a string."""
    return file if isinstance(file, str) else str(file.absolute())


def matching(source: str) -> list[PathOrUrl]:
    """The files or folders that a source argument names. It is a glob pattern only if no file has exactly that name.

    Raises OpenAlignError if there is none.
    """
    if source.startswith("file://"):
        source = remote.local_path(source)
    if remote.is_url(source):
        return list(remote.matching(source))
    if Path(source).exists():
        return [Path(source)]
    if not glob.has_magic(source):
        raise OpenAlignError(f"{source} does not exist.")
    paths: list[PathOrUrl] = sorted(map(Path, glob.glob(source, recursive=True)))  # noqa: PTH207 - absolute patterns
    if not paths:
        raise OpenAlignError(f"{source} matches no file.")
    return paths


def is_folder(file: PathOrUrl) -> bool:
    return remote.is_folder(file) if isinstance(file, str) else file.is_dir()


@contextmanager
def opened(file: PathOrUrl) -> Iterator[BinaryIO]:
    """A seekable stream of the bytes of a file. Raises OSError for a path, OpenAlignError for a URL."""
    if isinstance(file, str):
        with remote.opened(file, _BLOCK_BYTES) as stream:
            yield cast(BinaryIO, stream)
        return
    if file.is_fifo():  # open() would block until a writer appears
        raise OSError(errno.EINVAL, "not a regular file")
    with file.open("rb") as stream:
        yield stream


def open_parquet(file: PathOrUrl) -> pq.ParquetFile:
    """A Parquet file, of which only what is asked for is read."""
    if isinstance(file, str):
        files, path = fsspec.core.url_to_fs(file)
        return pq.ParquetFile(path, filesystem=files)
    return pq.ParquetFile(file)


def sibling(file: PathOrUrl, name: str) -> PathOrUrl:
    """`name` (a relative path with slashes) in the folder of `file`."""
    if isinstance(file, Path):
        return file.parent / name
    return f"{file.rpartition('/')[0]}/{name.removeprefix('./')}"


def child(folder: PathOrUrl, name: str) -> PathOrUrl:
    """`name` (a relative path with slashes) below `folder`."""
    return folder / name if isinstance(folder, Path) else f"{folder.rstrip('/')}/{name}"


def read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Up to `size` bytes from `offset`; the position of the stream does not change."""
    before = stream.tell()
    stream.seek(offset)
    data = stream.read(size)
    stream.seek(before)
    return data
