"""A cache of decoded images on disk, so that an image is decoded once per run and not once per epoch."""

import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.data.pairs.pairs import Pairs
from openalign.files import cache_in
from openalign.progress import log

_CHECKSUM_BYTES = 8


class ImageCache:
    """A file of (count, side, side, 3) pixels and one of checksums, filled on first use by any process.

    A row is filled if its checksum matches, so a row that a crash or a power cut left incomplete is written again.
    Files are read and written, not mapped: on a full disk, writing to a memory map kills the process.
    Picklable; open files are not copied.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self._folder = folder
        self._side = side
        self._image_bytes = side * side * 3
        self._files: tuple[int, int] | None = None
        self._image: NDArray[np.uint8] | None = None
        self._full = False

    @classmethod
    def open(cls, folder: Path, pairs: Pairs, side: int) -> "ImageCache | None":
        """The cache of these pairs at this size in `folder`; caches of other pairs or sizes are removed.

        None, with a message on standard error, if the disk has no space for it. Raises OpenAlignError if a file stands
        where a folder of it should be, or the other way round.
        """
        with cache_in(folder):
            return cls._open(folder, folder / f"{pairs.fingerprint()}-{side}px", len(pairs), side)

    @classmethod
    def _open(cls, folder: Path, own: Path, count: int, side: int) -> "ImageCache | None":
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():
            if other != own and other.name.endswith("px"):
                shutil.rmtree(other, ignore_errors=True)
        pixels, checksums = own / "pixels", own / "checksums"
        needed = count * (side * side * 3 + _CHECKSUM_BYTES)
        present = sum(file.stat().st_blocks * 512 for file in (pixels, checksums) if file.exists())
        free = _free_bytes(folder)
        if needed - present > free:
            log.warning(
                f"{folder} has {free / 1e9:.1f} GB free, but the decoded images would take {needed / 1e9:.1f} GB: "
                "images are decoded again in every epoch."
            )
            return None
        own.mkdir(exist_ok=True)
        for file, size in ((pixels, side * side * 3), (checksums, _CHECKSUM_BYTES)):
            file.touch()
            os.truncate(file, count * size)
        return cls(own, side)

    def get(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels (side, side, 3) of a row, valid until the next call; None if they are missing or unreadable."""
        if self._image is None:
            self._image = np.empty((self._side, self._side, 3), np.uint8)
        try:
            pixels, checksums = self._descriptors()
            stored = os.pread(checksums, _CHECKSUM_BYTES, row * _CHECKSUM_BYTES)
            if stored == bytes(_CHECKSUM_BYTES):
                return None
            read = os.preadv(pixels, [self._image.data], row * self._image_bytes)
        except OSError:
            return None
        return self._image if read == self._image_bytes and _checksum(self._image) == stored else None

    def put(self, row: int, image: NDArray[np.uint8]) -> None:
        """Store the pixels (side, side, 3) of a row. After a failed write (a full disk), nothing more is stored."""
        if self._full:
            return
        try:
            pixels, checksums = self._descriptors()
            os.pwrite(pixels, np.ascontiguousarray(image).data, row * self._image_bytes)
            os.pwrite(checksums, _checksum(image), row * _CHECKSUM_BYTES)
        except OSError:
            self._full = True

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_files": None, "_image": None}

    def __del__(self) -> None:
        for number in self.__dict__.get("_files") or ():
            os.close(number)

    def _descriptors(self) -> tuple[int, int]:
        if self._files is None:
            self._files = (os.open(self._folder / "pixels", os.O_RDWR), os.open(self._folder / "checksums", os.O_RDWR))
        return self._files


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _checksum(image: NDArray[np.uint8]) -> bytes:
    """The sum of the pixels as 64-bit words, never zero, which marks an empty row.

    An incomplete write leaves zeros, which change the sum. It takes a tenth of the time of CRC-32.
    """
    flat = np.ascontiguousarray(image).reshape(-1)
    whole = flat.size // 8 * 8
    words = np.add.reduce(flat[:whole].view(np.uint64), dtype=np.uint64)
    rest = int.from_bytes(flat[whole:].tobytes(), "little")
    return (((int(words) + rest) % (1 << 64)) or 1).to_bytes(_CHECKSUM_BYTES, "little")
