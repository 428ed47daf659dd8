"""Shards at an address: any that fsspec opens (s3://, gs://, http(s)://, memory://), read by ranges of bytes.

Nothing is kept between calls: fsspec keeps its connections by process itself, so forked and spawned workers are safe.
"""

import glob
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import fsspec

from openalign.errors import OpenAlignError

_TRIES = 3
_FIRST_PAUSE_S = 0.5
_BEHIND_THE_END = 416
"""HTTP's answer to a range that begins where the file has ended."""
_Found = TypeVar("_Found")


def is_address(source: str) -> bool:
    """Whether a DATA argument is an address and not a local path."""
    return len(urlsplit(source).scheme) > 1 and "://" in source


def list_tars(address: str) -> list[str]:
    """The addresses of the tars right below `address`, sorted, without hidden ones; itself if it is a tar."""
    if address.endswith(".tar"):
        return [address]
    files, path = _file_system(address)
    names = _tried(lambda: files.ls(path, detail=False), address)
    tars = [str(name) for name in names if str(name).endswith(".tar")]
    return sorted(files.unstrip_protocol(tar) for tar in tars if not tar.rpartition("/")[2].startswith("."))


def matching(pattern: str) -> list[str]:
    """The addresses that a pattern matches, sorted; one without `*`, `?` or `[` stands for itself, as any http(s) does.

    Raises `OpenAlignError` if nothing matches, or the place cannot be listed.
    """
    if _on_the_web(pattern) or not glob.has_magic(pattern.partition("://")[2]):
        return [pattern]
    files, path = _file_system(pattern)
    found = sorted(files.unstrip_protocol(name) for name in _tried(lambda: files.glob(path), pattern))
    if not found:
        raise OpenAlignError(f"{pattern} matches no file")
    return found


def is_folder(address: str) -> bool:
    """Whether files can be listed below the address; never over http(s), where nothing says what there is."""
    if _on_the_web(address):
        return False
    files, path = _file_system(address)
    return bool(_tried(lambda: files.isdir(path), address))


def files_below(folder: str) -> dict[str, dict[str, Any]]:
    """What the server says of each file below `folder`, by its path relative to it, sorted."""
    files, path = _file_system(folder)
    found = _tried(lambda: files.find(path, detail=True), folder)
    return {name.removeprefix(path.rstrip("/")).lstrip("/"): found[name] for name in sorted(found)}


def exists(address: str) -> bool:
    files, path = _file_system(address)
    return bool(_tried(lambda: files.exists(path), address))


def read_whole(address: str) -> bytes:
    files, path = _file_system(address)
    return bytes(_tried(lambda: files.cat_file(path), address))


def read_range(address: str, start: int, size: int) -> bytes:
    """`size` bytes from `start` on, fewer at the end, none behind it. Raises `OpenAlignError` if it cannot be read."""
    files, path = _file_system(address)

    def read() -> bytes:
        try:
            return bytes(files.cat_file(path, start=start, end=start + size))
        except Exception as error:
            if getattr(error, "status", None) == _BEHIND_THE_END:
                return b""
            raise

    data = _tried(read, address)
    if len(data) > size:
        raise OpenAlignError(f"{address}: the server sends whole files only, where parts (HTTP Range) are needed")
    return data


def state(address: str) -> str:
    """Changes when the file does, as far as its server says: by size, time and tag."""
    files, path = _file_system(address)
    return _state_of(address, _tried(lambda: files.info(path), address))


def states(address: str) -> list[str]:
    """The `state` of a file, or of all files below a folder."""
    if not is_folder(address):
        return [state(address)]
    return [_state_of(f"{address}/{name}", told) for name, told in files_below(address).items()]


def _state_of(address: str, told: dict[str, Any]) -> str:
    return repr([address, *(str(told.get(name)) for name in ("size", "ETag", "etag", "mtime", "LastModified"))])


@contextmanager
def opened(address: str, block_bytes: int | None = None) -> Iterator[IO[bytes]]:
    """The file, to read through; seekable. `block_bytes` are asked for at once, by default as many as fsspec likes."""
    files, path = _file_system(address)
    with _tried(lambda: files.open(path, "rb", block_size=block_bytes), address) as stream:
        yield stream


def _on_the_web(address: str) -> bool:
    return address.partition("://")[0] in ("http", "https")


def _file_system(address: str) -> tuple[Any, str]:
    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise OpenAlignError(f"{address} cannot be opened: {error}") from None
    except ValueError as error:
        raise OpenAlignError(f"{address} is no address that can be read: {error}") from None
    return files, path


def _tried(read: Callable[[], _Found], address: str) -> _Found:
    """What `read` gives, tried again after a moment: a replaced pair would make two runs differ.

    Whatever the many file systems raise is an `OpenAlignError` in the end.
    """
    for attempt in range(_TRIES):
        try:
            return read()
        except FileNotFoundError:
            raise OpenAlignError(f"{address} does not exist") from None
        except Exception as error:  # each file system has exceptions of its own
            reason = str(error).partition("\n")[0] or type(error).__name__
        if attempt < _TRIES - 1:
            time.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise OpenAlignError(f"{address} cannot be read ({reason})")
