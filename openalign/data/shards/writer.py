"""Writing shards: WebDataset tars of a bounded number of samples, each with its index."""

import errno
import json
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from openalign.data.images.formats import suffix_of
from openalign.data.images.header import ImageError, read_header
from openalign.data.shards.index import index_path
from openalign.data.shards.sidecar import DIGEST, DIGEST_BYTES, INDEX_SCHEMA, digest_of, write_sidecar
from openalign.data.tables.combine import table_of
from openalign.errors import OpenAlignError
from openalign.files import sync, whole_file

_BLOCK = tarfile.BLOCKSIZE
_HEADER = tarfile.TarInfo().tobuf(tarfile.PAX_FORMAT)
_SIZE, _CHECKSUM = slice(124, 135), slice(148, 156)  # of a header; its name comes first
_MOST_BYTES = 8**11  # of a file, that a header has digits for


class ShardWriter:
    """Writes samples into `folder/shard-00000.tar`, `shard-00001.tar`, ...; equal samples give equal bytes.

    A context manager. A shard gets its name when it is complete; after an error the unfinished one is removed.
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
        """Append one sample and return the name of its tar. Each key of `metadata` (JSON) becomes an index column.

        Raises `OpenAlignError` if the disk refuses the data; the unfinished shard is then removed.
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
        for stale in self.folder.glob("shard-*.tar"):  # of an earlier, longer run into the same folder
            if stale.stem >= f"shard-{self._shards:05d}":
                stale.unlink()
                index_path(stale).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None  # not before: `__exit__` discards a shard that could not be finished
            self._shards += 1


class _OpenShard:
    """The tar being written, under a temporary name, and the rows of its index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self._size = 0
        self._partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.partial.tar")
        with _os_errors(path):
            self._file = self._partial.open("wb")

    def add(self, key: str, image: bytes, text: str, metadata: dict[str, Any]) -> None:
        with _os_errors(self.path):
            image_offset = self._add_member(f"{key}.{_suffix(image)}", image)
            self._add_member(f"{key}.txt", text.encode())
            self._add_member(f"{key}.json", json.dumps(metadata, ensure_ascii=False).encode())
        extra = {name: value for name, value in metadata.items() if name not in (*INDEX_SCHEMA.names, DIGEST)}
        ours = {"key": key, "text": text, "image_offset": image_offset, "image_size": len(image)}
        self.rows.append(ours | {DIGEST: digest_of(image)} | extra)

    def finish(self) -> None:
        """Flush the shard to disk and rename it to its name, then write its index."""
        index = index_path(self.path)
        with _os_errors(self.path):
            end = 2 * _BLOCK
            self._file.write(bytes(end + -(self._size + end) % tarfile.RECORDSIZE))
            self._file.close()
            sync(self._partial)
            index.unlink(missing_ok=True)  # the index of an older tar must never lie beside the new tar
            self._partial.replace(self.path)
            sync(self.path.parent)
            with whole_file(index) as partial:
                write_sidecar(_index_table(self.rows), partial)

    def discard(self) -> None:
        with suppress(OSError):  # closing flushes the buffer, which fails on a full disk
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def _add_member(self, name: str, data: bytes) -> int:
        """Append a file with fixed time, owner and mode; returns the offset of its content."""
        self._size += self._file.write(_member_header(name, len(data)))
        offset = self._size
        self._size += self._file.write(data) + self._file.write(bytes(-len(data) % _BLOCK))
        return offset


def _member_header(name: str, size: int) -> bytes | bytearray:
    """What tarfile writes before a file with fixed time, owner and mode; for most names several times as fast."""
    if not name.isascii() or len(name) > tarfile.LENGTH_NAME or size >= _MOST_BYTES:
        member = tarfile.TarInfo(name)
        member.size = size
        return member.tobuf(tarfile.PAX_FORMAT)
    header = bytearray(_HEADER)
    header[: len(name)] = name.encode()
    header[_SIZE] = b"%011o" % size
    header[_CHECKSUM] = b" " * 8
    header[_CHECKSUM] = b"%06o\0 " % sum(header)
    return header


def _index_table(rows: list[dict[str, Any]]) -> pa.Table:
    table = table_of(rows)
    return table.set_column(table.column_names.index(DIGEST), DIGEST, table[DIGEST].cast(pa.binary(DIGEST_BYTES)))


@contextmanager
def _os_errors(shard: Path) -> Iterator[None]:
    """Report errors of the system, such as a full disk, as an `OpenAlignError` that names the shard."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = ": make room, and give the same command again" if full else ""
        raise OpenAlignError(f"{shard} cannot be written: {error.strerror or error}{advice}") from error


def _suffix(image: bytes) -> str:
    try:
        return suffix_of(read_header(image).format)
    except ImageError:
        return "jpg"
