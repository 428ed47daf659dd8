"""Images in files of their own: named by a table, or found in a folder."""

import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.files.image_value import Form, bytes_of, existing_file, form_of, holds_image, local_path
from openalign.data.shards.sidecar import MAX_IMAGE_BYTES
from openalign.errors import OpenAlignError

_ODD_PATH = r"^file:|^FILE:|^\.{1,2}/|^[^:]*/\.{0,2}/|^[^:]*/$"
"""Matches paths that have a second way to be written, and no other URLs."""

_ROWS_AT_ONCE = 1 << 14


class FileImages:
    """Images in files; paths are relative to `folder` or absolute."""

    def __init__(self, folder: Path, paths: pa.ChunkedArray) -> None:
        self.folder = folder
        self._paths = paths

    def image_bytes(self, row: int) -> bytes:
        path: str | None = self._paths[row].as_py()
        if not path:
            raise OpenAlignError("this row holds no image")
        if _is_link(path):
            raise OpenAlignError("this image is a URL: run `openalign curate` on the table to download it")
        try:
            return bytes_of(path) if holds_image(path) else _read(existing_file(self.folder, path))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenAlignError(f"the image file cannot be read ({reason})") from None

    def select(self, rows: NDArray[np.int64]) -> "FileImages":
        return FileImages(self.folder, self._paths.take(pa.array(rows)))

    def location(self, row: int) -> str:
        path: str | None = self._paths[row].as_py()
        if not path or holds_image(path):
            return ""
        return f"at://{path}" if _is_link(path) else f"file://{existing_file(self.folder, path).absolute()}"

    def identity(self) -> bytes:
        return repr([self._size_and_time(path) for path in self._paths.to_pylist()]).encode()

    def _size_and_time(self, path: str | None) -> tuple[int, int] | None:
        try:
            status = existing_file(self.folder, path or "").stat()
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns


def normalised_paths(paths: pa.ChunkedArray, folder: Path) -> pa.ChunkedArray:
    """The paths with each file written in one way, so that equal paths are equal files; URLs of the web as they are.

    `./a.jpg`, `x/../a.jpg`, `FOLDER/a.jpg` and `file://FOLDER/a.jpg` all become `a.jpg`, relative to `folder`.
    """
    top = f"{os.path.abspath(folder)}{os.sep}"  # noqa: PTH100 - links are not resolved
    first = _first_bytes(paths)
    if top.encode()[0] in first:
        inside = pc.starts_with(paths, top)
        paths = pc.if_else(inside, pc.utf8_slice_codeunits(paths, start=len(top)), paths)
    if first <= set(b"h") and pc.all(pc.starts_with(paths, "http"), skip_nulls=True).as_py():
        return paths
    if not first & set(b"fF") and not _has_odd_slashes(paths):
        return paths
    odd = pc.fill_null(pc.match_substring_regex(paths, _ODD_PATH), False).to_numpy(zero_copy_only=False)
    if not odd.any():
        return paths
    kept: list[str | None] = paths.to_pylist()
    for row in np.flatnonzero(odd).tolist():
        kept[row] = _normalised(kept[row] or "", top)
    return pa.chunked_array([pa.array(kept, pa.string())])


def read_image_file(file: Path) -> bytes:
    """The bytes of an image file. Raises `OpenAlignError` if it cannot be read, or is too large for an image."""
    try:
        return _read(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OpenAlignError(f"{file}: the image file cannot be read ({reason})") from None


def _read(file: Path) -> bytes:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or device might never end
        raise ValueError("it is not a regular file")
    if status.st_size > MAX_IMAGE_BYTES:
        raise ValueError(f"it has {status.st_size:,} bytes, more than {MAX_IMAGE_BYTES:,}")
    return file.read_bytes()


def _first_bytes(paths: pa.ChunkedArray) -> set[int]:
    """The first bytes of all paths; of an empty one that of the next."""
    found = np.zeros(256, np.int64)
    for starts, content in _contents(paths):
        found += np.bincount(content[starts[starts < len(content)]], minlength=256)
    return set(np.flatnonzero(found).tolist())


def _has_odd_slashes(paths: pa.ChunkedArray) -> bool:
    """Whether any path has a slash after a dot or a slash, or at its end."""
    for _, content in _contents(paths):
        before = content[np.flatnonzero(content[1:] == ord("/"))]
        if ((before == ord("/")) | (before == ord("."))).any():
            return True
    return bool(pc.any(pc.ends_with(paths, "/")).as_py())


def _contents(paths: pa.ChunkedArray) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint8]]]:
    """Where each path begins, and all their bytes; of some rows at a time, so that arrays of them stay in the cache."""
    for chunk in paths.chunks:
        _, ends, data = chunk.buffers()
        bounds = np.frombuffer(ends, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        content = np.frombuffer(data or b"", np.uint8)
        for first in range(0, len(chunk), _ROWS_AT_ONCE):
            some = bounds[first : first + _ROWS_AT_ONCE + 1]
            yield some[:-1] - some[0], content[some[0] : some[-1]]


def _normalised(path: str, top: str) -> str:
    if form_of(path) in (Form.PATH, Form.FILE_URL):
        return posixpath.normpath(local_path(path)).removeprefix(top)
    return path


def _is_link(path: str) -> bool:
    return form_of(path) in (Form.HTTP_URL, Form.OTHER_URL)
