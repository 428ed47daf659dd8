"""Reading images out of shards: any row at once, from local tars or tars at a URL."""

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.files import remote
from openalign.data.files.open_files import OpenFiles
from openalign.data.shards.index import Tar
from openalign.data.shards.sidecar import DIGEST, DIGEST_BYTES, digest_of
from openalign.errors import OpenAlignError

_NO_DIGEST = bytes(DIGEST_BYTES)


class ShardImages:
    """The image bytes of samples in tars, by row; thread-safe and picklable.

    An image is compared with the digest that its index recorded when it was written, if there is one.
    """

    def __init__(
        self,
        tars: Sequence[Tar],
        tar_of_row: NDArray[np.int32],
        offsets: NDArray[np.int64],
        sizes: NDArray[np.int64],
        digests: NDArray[np.uint8],
        check_every: int = 1,
        files: OpenFiles | None = None,
    ) -> None:
        self.tars = list(tars)
        self._tar_of_row = tar_of_row
        self._offsets = offsets
        self._sizes = sizes
        self._digests = digests
        self._check_every = check_every
        self._files = files or OpenFiles()
        self._ends: dict[int, int] = {}  # of truncated tars: nothing is requested beyond their end

    @classmethod
    def of(cls, tars: Sequence[Tar], indexes: Sequence[pa.Table]) -> Self:
        """The images of `tars`, whose `read_index` tables are `indexes`; rows are numbered through all of them."""
        tar_of_row = np.repeat(np.arange(len(tars), dtype=np.int32), [len(index) for index in indexes])
        offsets, sizes = (
            np.concatenate([index[name].to_numpy() for index in indexes]).astype(np.int64)
            for name in ("image_offset", "image_size")
        )
        digests = np.concatenate([_digests(index) for index in indexes])
        files = OpenFiles()
        files.remember(tar for tar in tars if isinstance(tar, Path))
        return cls(tars, tar_of_row, offsets, sizes, digests, files=files)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_files": self._files.only(tar for tar in self.tars if isinstance(tar, Path))}

    def select(self, rows: NDArray[np.int64]) -> "ShardImages":
        """The images of these rows, with only the tars that they are in: a few rows of many shards stay small."""
        offsets, sizes, digests = self._offsets[rows], self._sizes[rows], self._digests[rows]
        used, tar_of_row = np.unique(self._tar_of_row[rows], return_inverse=True)
        tars = [self.tars[number] for number in used.tolist()]
        return ShardImages(tars, tar_of_row.astype(np.int32), offsets, sizes, digests, self._check_every, self._files)

    def checked_every(self, rows: int) -> "ShardImages":
        """The same images, with only every `rows`-th one compared with its digest when it is read."""
        images = copy(self)
        images._check_every = rows
        return images

    def image_bytes(self, row: int) -> bytes:
        """The stored bytes of one image.

        Raises `OpenAlignError` if its tar is missing or truncated, or the bytes differ from the recorded digest.
        """
        number, offset, size = int(self._tar_of_row[row]), int(self._offsets[row]), int(self._sizes[row])
        tar = self.tars[number]
        if offset + size > self._ends.get(number, offset + size):
            raise _truncated(tar)
        data = remote.read_range(tar, offset, size) if isinstance(tar, str) else self._files.read(tar, offset, size)
        if len(data) < size:
            self._ends[number] = offset + len(data)
            raise _truncated(tar)
        if row % self._check_every == 0:
            expected = self._digests[row].tobytes()
            if expected != _NO_DIGEST and digest_of(data) != expected:
                raise OpenAlignError(
                    f"{tar} holds other bytes at {offset:,} than were written for this image: fetch or write the shard "
                    "again"
                )
        return data

    def location(self, row: int) -> str:
        """`tar://FILE#OFFSET+SIZE+DIGEST`; the digest is missing if there is none."""
        tar, digest = self.tars[int(self._tar_of_row[row])], self._digests[row].tobytes()
        span = f"{int(self._offsets[row])}+{int(self._sizes[row])}"
        return f"tar://{Path(tar).absolute() if isinstance(tar, Path) else tar}#{span}" + (
            f"+{digest.hex()}" if digest != _NO_DIGEST else ""
        )

    def identity(self) -> bytes:
        """Changes when a stored image does: sizes and times of the tars, and the offsets within them."""
        states = [
            remote.state(tar) if isinstance(tar, str) else (tar.stat().st_size, tar.stat().st_mtime_ns)
            for tar in self.tars
        ]
        return repr(states).encode() + self._tar_of_row.tobytes() + self._offsets.tobytes() + self._sizes.tobytes()


def _truncated(tar: Tar) -> OpenAlignError:
    return OpenAlignError(
        f"{tar} is shorter than its index says: fetch or write the shard again, or delete its index to use the samples "
        "left"
    )


def _digests(index: pa.Table) -> NDArray[np.uint8]:
    """(N, 16) the digests of an index; zeros for images without one."""
    if DIGEST not in index.column_names:
        return np.zeros((len(index), DIGEST_BYTES), np.uint8)
    known = pc.fill_null(index[DIGEST], _NO_DIGEST).combine_chunks()
    stored = np.frombuffer(known.buffers()[1] or b"", np.uint8).reshape(-1, DIGEST_BYTES)
    return stored[known.offset : known.offset + len(known)]
