"""Files at a URL that fsspec opens (s3://, gs://, http(s)://, memory://), read by byte ranges.

Nothing is kept between calls: fsspec keeps its connections per process, so forked and spawned workers are safe.
"""

import glob
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import unquote, urlsplit

import fsspec

from openalign.errors import OpenAlignError

_TRIES = 3
_FIRST_PAUSE_S = 0.5
_RANGE_NOT_SATISFIABLE = 416
"""HTTP status of a range that begins at or after the end of the file."""
_Result = TypeVar("_Result")


def is_url(source: str) -> bool:
    """Whether a DATA argument is a URL and not a local path."""
    return len(urlsplit(source).scheme) > 1 and "://" in source


def local_path(url: str) -> str:
    """The path that a `file://` URL names, percent-encoded or not."""
    path = url.removeprefix("file://").removeprefix("localhost")
    return path if Path(path).exists() else unquote(path)


def list_tars(url: str) -> list[str]:
    """The URLs of the tars directly in the folder `url`, sorted, hidden ones excluded; `url` itself if it is a tar."""
    if url.endswith(".tar"):
        return [url]
    files, path = _file_system(url)
    names = _retried(lambda: files.ls(path, detail=False), url)
    tars = [str(name) for name in names if str(name).endswith(".tar")]
    return sorted(files.unstrip_protocol(tar) for tar in tars if not tar.rpartition("/")[2].startswith("."))


def matching(pattern: str) -> list[str]:
    """The URLs that match a pattern, sorted. A URL without `*`, `?` or `[`, or any http(s) URL, matches itself only.

    Raises `OpenAlignError` if nothing matches or the file system cannot list files.
    """
    if _is_http(pattern) or not glob.has_magic(pattern.partition("://")[2]):
        return [pattern]
    files, path = _file_system(pattern)
    found = sorted(files.unstrip_protocol(name) for name in _retried(lambda: files.glob(path), pattern))
    if not found:
        raise OpenAlignError(f"{pattern} matches no file")
    return found


def is_folder(url: str) -> bool:
    """Whether the files below `url` can be listed; always false for http(s), which has no listing."""
    if _is_http(url):
        return False
    files, path = _file_system(url)
    return bool(_retried(lambda: files.isdir(path), url))


def entries_below(folder: str) -> dict[str, dict[str, Any]]:
    """The server's metadata of each file below `folder`, keyed by path relative to it, sorted."""
    files, path = _file_system(folder)
    found = _retried(lambda: files.find(path, detail=True), folder)
    return {name.removeprefix(path.rstrip("/")).lstrip("/"): found[name] for name in sorted(found)}


def folders_in(folder: str) -> list[str]:
    """The URLs of the folders directly in a folder, sorted, without hidden ones; none for http(s)."""
    if _is_http(folder):
        return []
    files, path = _file_system(folder)
    entries = _retried(lambda: files.ls(path, detail=True), folder)
    found = [each["name"].rstrip("/").rpartition("/")[2] for each in entries if each.get("type") == "directory"]
    return sorted(f"{folder.rstrip('/')}/{name}" for name in found if not name.startswith("."))


def exists(url: str) -> bool:
    files, path = _file_system(url)
    return bool(_retried(lambda: files.exists(path), url))


def read_whole(url: str) -> bytes:
    files, path = _file_system(url)
    return bytes(_retried(lambda: files.cat_file(path), url))


def read_range(url: str, start: int, size: int) -> bytes:
    """Up to `size` bytes from offset `start`; fewer at the end of the file. Raises `OpenAlignError` if unreadable."""
    files, path = _file_system(url)

    def read() -> bytes:
        try:
            return bytes(files.cat_file(path, start=start, end=start + size))
        except Exception as error:
            if getattr(error, "status", None) == _RANGE_NOT_SATISFIABLE:
                return b""
            raise

    data = _retried(read, url)
    if len(data) > size:
        raise OpenAlignError(f"{url}: the server sends whole files only, but byte ranges (HTTP Range) are needed")
    return data


def state(url: str) -> str:
    """A string that changes when the file's size, modification time or ETag does, as reported by its server."""
    files, path = _file_system(url)
    return state_of(url, _retried(lambda: files.info(path), url))


def state_of(url: str, entry: dict[str, Any]) -> str:
    """The `state` of a file with this metadata."""
    return repr([url, *(str(entry.get(name)) for name in ("size", "ETag", "etag", "mtime", "LastModified"))])


@contextmanager
def opened(url: str, block_bytes: int | None = None) -> Iterator[IO[bytes]]:
    """The file as a seekable stream that requests `block_bytes` at once; default: what fsspec chooses."""
    files, path = _file_system(url)
    with _retried(lambda: files.open(path, "rb", block_size=block_bytes), url) as stream:
        yield stream


def _is_http(url: str) -> bool:
    return url.partition("://")[0] in ("http", "https")


def _file_system(url: str) -> tuple[Any, str]:
    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise OpenAlignError(f"{url} cannot be opened: {error}") from None
    except ValueError as error:
        raise OpenAlignError(f"{url} is not a URL that can be read: {error}") from None
    return files, path


def _retried(read: Callable[[], _Result], url: str) -> _Result:
    """The result of `read`, retried after a pause: an image lost to a short failure would make two runs differ.

    Raises `OpenAlignError` for whatever a file system raises in the last attempt.
    """
    for attempt in range(_TRIES):
        try:
            return read()
        except FileNotFoundError:
            raise OpenAlignError(f"{url} does not exist") from None
        except Exception as error:  # each file system has exceptions of its own
            reason = str(error).partition("\n")[0] or type(error).__name__
        if attempt < _TRIES - 1:
            time.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise OpenAlignError(f"{url} cannot be read ({reason})")
