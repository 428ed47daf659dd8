"""Shards: WebDataset tars with a Parquet index beside each, so that any sample can be read at once.

A sample is `KEY.jpg` (or `.png`, `.webp`, `.gif`, ...), `KEY.txt` and `KEY.json`. The index beside `shard-00000.tar` is
`shard-00000.index.parquet`: `key`, `text`, `image_offset` and `image_size` in bytes within the tar, and the metadata's
columns. Tars that others made (img2dataset, WebDataset) have no such index: theirs is read out of the tar.
"""

import io
import json
import os
import tarfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.data import addresses
from openalign.data.image_header import ImageError, read_header
from openalign.data.shard_index import IMAGE_SUFFIXES, INDEX_SCHEMA, Tar, index_path, read_index
from openalign.data.tables import table_of
from openalign.errors import OpenAlignError
from openalign.files import whole_file

__all__ = ["IMAGE_SUFFIXES", "ShardImages", "ShardWriter", "index_path", "read_index"]

_BLOCK = tarfile.BLOCKSIZE
_SHORTER = "{} is shorter than its index says: delete the index or fetch it again"


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
        """Append one sample; returns the name of the tar it went into. `metadata` must be JSON, its keys columns."""
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
        if kind is not None:
            if self._open is not None:
                self._open.discard()
            return
        self._finish()
        for left in self.folder.glob("shard-*.tar"):  # of an earlier, longer run into the same folder
            if left.stem >= f"shard-{self._shards:05d}":
                left.unlink()
                index_path(left).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None
            self._shards += 1


class _OpenShard:
    """The tar being written, under a temporary name, and the rows of its index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.tar")
        self._tar = tarfile.open(self._partial, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - open across calls

    def add(self, key: str, image: bytes, text: str, metadata: dict[str, Any]) -> None:
        image_offset = self._add_member(f"{key}.{_suffix(image)}", image)
        self._add_member(f"{key}.txt", text.encode())
        self._add_member(f"{key}.json", json.dumps(metadata, ensure_ascii=False).encode())
        extra = {name: value for name, value in metadata.items() if name not in INDEX_SCHEMA.names}
        ours = {"key": key, "text": text, "image_offset": image_offset, "image_size": len(image)}
        self.rows.append(ours | extra)

    def finish(self) -> None:
        self._tar.close()
        index = index_path(self.path)
        index.unlink(missing_ok=True)  # an index of an older tar must never stand beside the new one
        self._partial.replace(self.path)
        with whole_file(index) as partial:
            pq.write_table(table_of(self.rows), partial)

    def discard(self) -> None:
        self._tar.close()
        self._partial.unlink(missing_ok=True)

    def _add_member(self, name: str, data: bytes) -> int:
        """Append a file with fixed time, owner and mode; returns where its bytes begin."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
        return self._tar.offset - -(-len(data) // _BLOCK) * _BLOCK


class ShardImages:
    """The image bytes of many samples in tars, by row; picklable, its open files stay in their process."""

    _MOST_OPEN = 256

    def __init__(
        self, tars: Sequence[Tar], tar_of_row: NDArray[np.int32], offsets: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> None:
        self.tars = list(tars)
        self._tar_of_row = tar_of_row
        self._offsets = offsets
        self._sizes = sizes
        self._files: OrderedDict[int, _Descriptor] = OrderedDict()
        self._ends: dict[int, int] = {}  # of the tars found to be cut off: no request is spent on what lies behind

    @classmethod
    def of(cls, tars: Sequence[Tar], indexes: Sequence[pa.Table]) -> Self:
        """The images of `tars`, whose `read_index` tables are `indexes`, rows one after the other."""
        tar_of_row = np.repeat(np.arange(len(tars), dtype=np.int32), [len(index) for index in indexes])
        offsets, sizes = (
            np.concatenate([index[name].to_numpy() for index in indexes]).astype(np.int64)
            for name in ("image_offset", "image_size")
        )
        return cls(tars, tar_of_row, offsets, sizes)

    def select(self, rows: NDArray[np.int64]) -> "ShardImages":
        return ShardImages(self.tars, self._tar_of_row[rows], self._offsets[rows], self._sizes[rows])

    def image_bytes(self, row: int) -> bytes:
        """The stored bytes of one image. Raises `OpenAlignError` if its tar is gone or shorter than its index says."""
        tar, offset, size = int(self._tar_of_row[row]), int(self._offsets[row]), int(self._sizes[row])
        place = self.tars[tar]
        if offset + size > self._ends.get(tar, offset + size):
            raise OpenAlignError(_SHORTER.format(place))
        data = addresses.read_range(place, offset, size) if isinstance(place, str) else self._pread(tar, offset, size)
        if len(data) < size:
            self._ends[tar] = offset + len(data)
            raise OpenAlignError(_SHORTER.format(place))
        return data

    def _pread(self, tar: int, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._descriptor(tar).number, size, offset)
        except OSError as error:
            raise OpenAlignError(f"{self.tars[tar]} cannot be read: {error.strerror}") from None

    def identity(self) -> bytes:
        """Changes when the stored images do: by the tars' sizes and times, and the places within them."""
        tars = [
            addresses.state(tar) if isinstance(tar, str) else (tar.stat().st_size, tar.stat().st_mtime_ns)
            for tar in self.tars
        ]
        return repr(tars).encode() + self._tar_of_row.tobytes() + self._offsets.tobytes() + self._sizes.tobytes()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": OrderedDict()}

    def _descriptor(self, tar: int) -> "_Descriptor":
        known = self._files.get(tar)
        if known is None:
            known = self._files[tar] = _Descriptor(Path(self.tars[tar]))
            if len(self._files) > self._MOST_OPEN:
                self._files.popitem(last=False)
        return known


class _Descriptor:
    """An open file that closes when nobody reads from it any more, in whichever thread that is."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


def _suffix(image: bytes) -> str:
    try:
        name = read_header(image).format
    except ImageError:
        return "jpg"
    return "jpg" if name == "jpeg" else name
