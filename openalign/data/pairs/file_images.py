"""Images that are files, named by a table or lying in a folder with their texts beside them."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.shards.sidecar import MAX_IMAGE_BYTES
from openalign.errors import OpenAlignError


class FileImages:
    """Images that are files: paths relative to `folder`, or absolute."""

    def __init__(self, folder: Path, paths: pa.ChunkedArray) -> None:
        self._folder = folder
        self._paths = paths

    def image_bytes(self, row: int) -> bytes:
        path: str | None = self._paths[row].as_py()
        if not path:
            raise OpenAlignError("this row names no image")
        if path.lower().startswith(("http://", "https://")):
            raise OpenAlignError("this image is only an address: run `openalign curate` on the table, which fetches it")
        try:
            return self._read(self._folder / path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenAlignError(f"the image file cannot be read ({reason})") from None

    def _read(self, file: Path) -> bytes:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device, which a stranger's table may name, need not end
            raise ValueError("it is no file")
        if status.st_size > MAX_IMAGE_BYTES:
            raise ValueError(f"it has {status.st_size:,} bytes, more than {MAX_IMAGE_BYTES:,}")
        return file.read_bytes()

    def select(self, rows: NDArray[np.int64]) -> "FileImages":
        return FileImages(self._folder, self._paths.take(pa.array(rows)))

    def identity(self) -> bytes:
        return repr([self._size_and_time(path) for path in self._paths.to_pylist()]).encode()

    def _size_and_time(self, path: str | None) -> tuple[int, int] | None:
        try:
            status = (self._folder / (path or "")).stat()
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns


def image_paths(folder: Path) -> tuple[list[Path], list[str]]:
    """Relative paths of the images below `folder` (see `files_below`), sorted; a problem if a name is not UTF-8."""
    return _with_utf8_names(sorted(Path(name) for name in files_below(folder) if is_image_name(name)), folder)


def text_beside(image: Path) -> str | None:
    """The text of an image: its same-named .txt, spaces made one; None without. Raises `OpenAlignError` naming it."""
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
    """The paths that a table can hold, and a sentence about the others."""
    others = [path for path in paths if not _is_utf8(str(path))]
    if not others:
        return list(paths), []
    first = os.fsencode(others[0]).decode(errors="replace")
    sentence = f"{folder}: {len(others)} images whose names are not UTF-8 are left out, the first: {first}: rename them"
    return [path for path in paths if _is_utf8(str(path))], [sentence]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
