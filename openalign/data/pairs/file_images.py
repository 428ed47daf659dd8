"""Images in files of their own: named by a table, or in a folder with a text file beside each."""

import os
import posixpath
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.shards.sidecar import MAX_IMAGE_BYTES
from openalign.errors import OpenAlignError

_ODD_PATH = r"^file:|^FILE:|^\.{1,2}/|/\.{0,2}/|/$"
"""Matches paths that have a second way to be written."""


class FileImages:
    """Images in files; paths are relative to `folder` or absolute."""

    def __init__(self, folder: Path, paths: pa.ChunkedArray) -> None:
        self._folder = folder
        self._paths = paths

    def image_bytes(self, row: int) -> bytes:
        path: str | None = self._paths[row].as_py()
        if not path:
            raise OpenAlignError("this row has no image")
        if _is_link(path):
            raise OpenAlignError("this image is a URL: run `openalign curate` on the table to download it")
        try:
            return self._read(self._folder / path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenAlignError(f"the image file cannot be read ({reason})") from None

    def _read(self, file: Path) -> bytes:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or device might never end
            raise ValueError("it is not a regular file")
        if status.st_size > MAX_IMAGE_BYTES:
            raise ValueError(f"it has {status.st_size:,} bytes, more than {MAX_IMAGE_BYTES:,}")
        return file.read_bytes()

    def select(self, rows: NDArray[np.int64]) -> "FileImages":
        return FileImages(self._folder, self._paths.take(pa.array(rows)))

    def location(self, row: int) -> str:
        path: str | None = self._paths[row].as_py()
        if not path:
            return ""
        return f"at://{path}" if _is_link(path) else f"file://{(self._folder / path).absolute()}"

    def identity(self) -> bytes:
        return repr([self._size_and_time(path) for path in self._paths.to_pylist()]).encode()

    def _size_and_time(self, path: str | None) -> tuple[int, int] | None:
        try:
            status = (self._folder / (path or "")).stat()
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns


def normalised_paths(paths: pa.ChunkedArray, folder: Path) -> pa.ChunkedArray:
    """The paths with each file written in one way, so that equal paths are equal files; URLs of the web as they are.

    `./a.jpg`, `x/../a.jpg`, `FOLDER/a.jpg` and `file://FOLDER/a.jpg` all become `a.jpg`, relative to `folder`.
    """
    top = f"{os.path.abspath(folder)}{os.sep}"  # noqa: PTH100 - links are not resolved
    inside = pc.starts_with(paths, top)
    if pc.any(inside).as_py():
        paths = pc.if_else(inside, pc.utf8_slice_codeunits(paths, start=len(top)), paths)
    odd = pc.fill_null(pc.match_substring_regex(paths, _ODD_PATH), False).to_numpy(zero_copy_only=False)
    if not odd.any():
        return paths
    kept: list[str | None] = paths.to_pylist()
    for row in np.flatnonzero(odd).tolist():
        kept[row] = _normalised(kept[row] or "", top)
    return pa.chunked_array([pa.array(kept, pa.string())])


def _normalised(path: str, top: str) -> str:
    if path.lower().startswith("file:"):
        path = unquote(urlsplit(path).path)
    elif "://" in path or path.startswith("data:"):
        return path
    return posixpath.normpath(path).removeprefix(top)


def _is_link(path: str) -> bool:
    return path.lower().startswith(("http://", "https://"))


def image_paths(folder: Path) -> tuple[list[Path], list[str]]:
    """Relative paths of the images below `folder` (see `files_below`), sorted; a problem if a name is not UTF-8."""
    return _with_utf8_names(sorted(Path(name) for name in files_below(folder) if is_image_name(name)), folder)


def text_beside(image: Path) -> str | None:
    """The same-named .txt of an image, whitespace collapsed; None without one. Raises `OpenAlignError` naming it."""
    path = image.with_suffix(".txt")
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise OpenAlignError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8 and try again") from None
    except OSError as error:
        raise OpenAlignError(f"{path} cannot be read: {error.strerror}") from None


def _with_utf8_names(paths: Sequence[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """The paths that are UTF-8, as a table needs, and a problem for the others."""
    others = [path for path in paths if not _is_utf8(str(path))]
    if not others:
        return list(paths), []
    first = os.fsencode(others[0]).decode(errors="replace")
    problem = f"{folder}: {len(others)} images whose names are not UTF-8 are left out, the first: {first}: rename them"
    return [path for path in paths if _is_utf8(str(path))], [problem]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
