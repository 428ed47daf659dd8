"""Images in files of their own: named by a table, or in a folder with a text file beside each."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openalign.data.files.image_value import bytes_of, existing_file, holds_image
from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.shards.sidecar import MAX_IMAGE_BYTES
from openalign.errors import OpenAlignError


class FileImages:
    """Images in files; paths are relative to `folder` or absolute."""

    def __init__(self, folder: Path, paths: pa.ChunkedArray) -> None:
        self._folder = folder
        self._paths = paths

    def image_bytes(self, row: int) -> bytes:
        path: str | None = self._paths[row].as_py()
        if not path:
            raise OpenAlignError("this row holds no image")
        if path.lower().startswith(("http://", "https://")):
            raise OpenAlignError("this image is a URL: run `openalign curate` on the table to download it")
        try:
            return bytes_of(path) if holds_image(path) else self._read(existing_file(self._folder, path))
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

    def identity(self) -> bytes:
        return repr([self._size_and_time(path) for path in self._paths.to_pylist()]).encode()

    def _size_and_time(self, path: str | None) -> tuple[int, int] | None:
        try:
            status = existing_file(self._folder, path or "").stat()
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns


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
