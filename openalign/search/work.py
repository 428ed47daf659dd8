"""The vectors that an indexing run has computed so far, kept beside its folder so that an interrupted run can resume.

`.NAME.work/MODEL/` holds one file a batch, named by the SHA-256 of its content, which is checked when it is read.
Only the holder of the index folder's lock uses it.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.search.vectors import Vectors16

_SUFFIX = ".safetensors"
_BATCHES_IN_MEMORY = 16


@dataclass(frozen=True)
class Embedded:
    """One embedded image."""

    digest: bytes
    width: int
    """Pixels, after EXIF orientation; so is `height`."""
    height: int
    thumbnail: bytes
    vector: Vectors16


class Work:
    """The kept batches of one model; safe to read from many threads.

    `model` is a hexadecimal hash of everything besides the images that vectors and thumbnails depend on.
    """

    def __init__(self, index: Path, model: str) -> None:
        self._all = index.with_name(f".{index.name}.work")
        self.folder = self._all / model
        self._batch = lru_cache(_BATCHES_IN_MEMORY)(self._read)
        # A temporary file that SQLite removes itself: the digests of a large index may not fit into memory.
        self._known = sqlite3.connect("", check_same_thread=False)
        try:
            self._known.execute("CREATE TABLE known (digest BLOB PRIMARY KEY, file TEXT, number INTEGER) WITHOUT ROWID")
            for path in sorted(self.folder.glob("*")):
                self._remember(path.name)
        except sqlite3.Error as error:
            raise OpenAlignError(f"The folder for temporary files cannot be written ({error}): make room.") from None

    def __len__(self) -> int:
        """Images that an earlier run embedded."""
        count: int = self._known.execute("SELECT count(*) FROM known").fetchone()[0]
        return count

    def find(self, digest: bytes) -> Embedded | None:
        """The image with this digest, if an earlier run embedded it."""
        found = self._known.execute("SELECT file, number FROM known WHERE digest = ?", (digest,)).fetchone()
        batch = self._batch(found[0]) if found else None
        return batch[found[1]] if found and batch else None

    def keep(self, batch: Sequence[Embedded]) -> None:
        """Store a batch for the next run, in case this one is interrupted."""
        if not batch:
            return
        content = save(
            {
                "digests": np.stack([np.frombuffer(image.digest, np.uint8) for image in batch]),
                "sizes": np.array([(image.width, image.height, len(image.thumbnail)) for image in batch], np.int64),
                "vectors": np.stack([image.vector for image in batch]),
                "thumbnails": np.frombuffer(b"".join(image.thumbnail for image in batch), np.uint8),
            }
        )
        # Not synced to disk: a batch damaged by a power failure is embedded again.
        with whole_file(self.folder / (hashlib.sha256(content).hexdigest() + _SUFFIX), durable=False) as partial:
            partial.write_bytes(content)

    def remove(self) -> None:
        """Remove everything that is stored, for other models too: the index is finished."""
        shutil.rmtree(self._all, ignore_errors=True)

    def close(self) -> None:
        """Close the table of digests; the files stay."""
        self._known.close()

    def _remember(self, name: str) -> None:
        for number, image in enumerate(self._read(name) or ()):
            self._known.execute("INSERT OR IGNORE INTO known VALUES (?, ?, ?)", (image.digest, name, number))

    def _read(self, name: str) -> list[Embedded] | None:
        """The batch in a file; a damaged file is removed, and None returned."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() + _SUFFIX != name:
            with suppress(OSError):
                path.unlink()
            return None
        tensors = load(content)
        ends = np.cumsum(tensors["sizes"][:, 2])
        thumbnails = tensors["thumbnails"].tobytes()
        return [
            Embedded(digest.tobytes(), int(width), int(height), thumbnails[end - length : end], vector)
            for digest, (width, height, length), end, vector in zip(
                tensors["digests"], tensors["sizes"], ends, tensors["vectors"], strict=True
            )
        ]
