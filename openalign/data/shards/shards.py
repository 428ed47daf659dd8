"""Shards: WebDataset tars with a Parquet index beside each, so that any sample can be read at once.

A sample is `KEY.jpg` (or `.png`, `.webp`, `.gif`, ...), `KEY.txt` and `KEY.json`. The index beside `shard-00000.tar` is
`shard-00000.index.parquet`: `key`, `text`, `image_offset` and `image_size` in bytes within the tar, `image_digest`, and
the metadata's columns. Tars that others made (img2dataset, WebDataset) have no such index: theirs is read out of the
tar, and their images have no digest to be checked by.
"""

import errno
import io
import json
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.files import remote
from openalign.data.files.open_files import OpenFiles
from openalign.data.images.header import ImageError, read_header
from openalign.data.shards.index import IMAGE_SUFFIXES, Tar, index_path, read_index
from openalign.data.shards.sidecar import DIGEST, DIGEST_BYTES, INDEX_SCHEMA, digest_of, write_sidecar
from openalign.data.tables.read import table_of
from openalign.errors import OpenAlignError
from openalign.files import sync, whole_file

__all__ = ["IMAGE_SUFFIXES", "ShardImages", "ShardWriter", "index_path", "read_index"]

_BLOCK = tarfile.BLOCKSIZE
_SHORTER = (
    "{} is shorter than its index says: fetch or write the shard again, or delete its index to use the samples left"
)
_NO_DIGEST = bytes(DIGEST_BYTES)
_OTHER_BYTES = "{} holds other bytes at {:,} than were written for this image: fetch or write the shard again"


class ShardWriter:
    """Write samples into `folder/shard-00000.tar`, `shard-00001.tar`, ...; equal samples give equal bytes.

    A context manager. A shard appears under its name when it is complete; after an error the unfinished one is gone.
    """

    def __init__(self, folder: Path, samples_per_shard: int = 10_000) -> None:
        self.folder = folder
        self.samples_per_shard = samples_per_shard
        self._shards = 0
        self._open: _OpenShard | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, key: str, image: bytes, text: str, metadata: dict[str, Any]) -> str:
        """Append one sample; returns the name of the tar it went into. `metadata` must be JSON, its keys columns.

        Raises `OpenAlignError` if the disk does not take it; the unfinished shard is then removed.
        """
        if self._open is None:
            self._open = _OpenShard(self.folder / f"shard-{self._shards:05d}.tar")
        shard = self._open
        shard.add(key, image, text, metadata)
        if len(shard.rows) >= self.samples_per_shard:
            self._finish()
        return shard.path.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                return
            self._finish()
        finally:
            if self._open is not None:
                self._open.discard()
        for left in self.folder.glob("shard-*.tar"):  # of an earlier, longer run into the same folder
            if left.stem >= f"shard-{self._shards:05d}":
                left.unlink()
                index_path(left).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None  # else `__exit__` discards what could not be finished
            self._shards += 1


class _OpenShard:
    """The tar being written, under a temporary name, and the rows of its index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self._partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.partial.tar")
        with _said_of(path):
            self._file = self._partial.open("wb")
            self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, key: str, image: bytes, text: str, metadata: dict[str, Any]) -> None:
        with _said_of(self.path):
            image_offset = self._add_member(f"{key}.{_suffix(image)}", image)
            self._add_member(f"{key}.txt", text.encode())
            self._add_member(f"{key}.json", json.dumps(metadata, ensure_ascii=False).encode())
        extra = {name: value for name, value in metadata.items() if name not in (*INDEX_SCHEMA.names, DIGEST)}
        ours = {"key": key, "text": text, "image_offset": image_offset, "image_size": len(image)}
        self.rows.append(ours | {DIGEST: digest_of(image)} | extra)

    def finish(self) -> None:
        """Put the shard in place under its name, forced to the disk, then its index."""
        index = index_path(self.path)
        with _said_of(self.path):
            self._tar.close()
            self._file.close()
            sync(self._partial)
            index.unlink(missing_ok=True)  # an index of an older tar must never stand beside the new one
            self._partial.replace(self.path)
            sync(self.path.parent)
            with whole_file(index) as partial:
                write_sidecar(_index_table(self.rows), partial)

    def discard(self) -> None:
        with suppress(OSError):  # what is buffered cannot be written to a full disk
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def _add_member(self, name: str, data: bytes) -> int:
        """Append a file with fixed time, owner and mode; returns where its bytes begin."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
        return self._tar.offset - -(-len(data) // _BLOCK) * _BLOCK


def _index_table(rows: list[dict[str, Any]]) -> pa.Table:
    table = table_of(rows)
    place = table.column_names.index(DIGEST)
    return table.set_column(place, DIGEST, table[DIGEST].cast(pa.binary(DIGEST_BYTES)))


@contextmanager
def _said_of(shard: Path) -> Iterator[None]:
    """What the system refuses, such as space on the disk, said of the shard that was to be written."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = ": make room, and give the same command again" if full else ""
        raise OpenAlignError(f"{shard} cannot be written: {error.strerror or error}{advice}") from error


class ShardImages:
    """The image bytes of many samples in tars, by row; for any number of threads, and picklable.

    An image is compared with the digest that was kept of it when it was written, where there is one.
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
        self._ends: dict[int, int] = {}  # of the tars found to be cut off: no request is spent on what lies behind

    @classmethod
    def of(cls, tars: Sequence[Tar], indexes: Sequence[pa.Table]) -> Self:
        """The images of `tars`, whose `read_index` tables are `indexes`, rows one after the other."""
        tar_of_row = np.repeat(np.arange(len(tars), dtype=np.int32), [len(index) for index in indexes])
        offsets, sizes = (
            np.concatenate([index[name].to_numpy() for index in indexes]).astype(np.int64)
            for name in ("image_offset", "image_size")
        )
        digests = np.concatenate([_digests(index) for index in indexes])
        files = OpenFiles()
        files.remember(tar for tar in tars if isinstance(tar, Path))
        return cls(tars, tar_of_row, offsets, sizes, digests, files=files)

    def select(self, rows: NDArray[np.int64]) -> "ShardImages":
        offsets, sizes, digests = self._offsets[rows], self._sizes[rows], self._digests[rows]
        return ShardImages(self.tars, self._tar_of_row[rows], offsets, sizes, digests, self._check_every, self._files)

    def checked_every(self, rows: int) -> "ShardImages":
        """The same images, of which only one in so many rows, always the same, is compared with its digest."""
        same = copy(self)
        same._check_every = rows
        return same

    def image_bytes(self, row: int) -> bytes:
        """The stored bytes of one image.

        Raises `OpenAlignError` if its tar is gone, shorter than its index says, or holds other bytes by now.
        """
        tar, offset, size = int(self._tar_of_row[row]), int(self._offsets[row]), int(self._sizes[row])
        place = self.tars[tar]
        if offset + size > self._ends.get(tar, offset + size):
            raise OpenAlignError(_SHORTER.format(place))
        if isinstance(place, str):
            data = remote.read_range(place, offset, size)
        else:
            data = self._files.read(place, offset, size)
        if len(data) < size:
            self._ends[tar] = offset + len(data)
            raise OpenAlignError(_SHORTER.format(place))
        if row % self._check_every == 0:
            expected = self._digests[row].tobytes()
            if expected != _NO_DIGEST and digest_of(data) != expected:
                raise OpenAlignError(_OTHER_BYTES.format(place, offset))
        return data

    def identity(self) -> bytes:
        """Changes when the stored images do: by the tars' sizes and times, and the places within them."""
        tars = [
            remote.state(tar) if isinstance(tar, str) else (tar.stat().st_size, tar.stat().st_mtime_ns)
            for tar in self.tars
        ]
        return repr(tars).encode() + self._tar_of_row.tobytes() + self._offsets.tobytes() + self._sizes.tobytes()


def _digests(index: pa.Table) -> NDArray[np.uint8]:
    """(N, 16) the digests of an index, zeros where it has none."""
    if DIGEST not in index.column_names:
        return np.zeros((len(index), DIGEST_BYTES), np.uint8)
    known = pc.fill_null(index[DIGEST], _NO_DIGEST).combine_chunks()
    stored = np.frombuffer(known.buffers()[1] or b"", np.uint8).reshape(-1, DIGEST_BYTES)
    return stored[known.offset : known.offset + len(known)]


def _suffix(image: bytes) -> str:
    try:
        name = read_header(image).format
    except ImageError:
        return "jpg"
    return "jpg" if name == "jpeg" else name
