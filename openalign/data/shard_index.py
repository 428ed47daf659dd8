"""The index of a shard: where in the tar each image lies, and what is known of it."""

import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.data import addresses
from openalign.data.tables import table_of
from openalign.errors import OpenAlignError

INDEX_SCHEMA = pa.schema(
    [("key", pa.string()), ("text", pa.string()), ("image_offset", pa.int64()), ("image_size", pa.int64())]
)
"""The columns every index has; a sample's metadata adds more."""

IMAGE_SUFFIXES = frozenset(
    ("jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2", "ico", "ppm")
)


Tar = Path | str
"""A tar on this machine, or the address of one."""


def index_path(tar: Path) -> Path:
    """Where the index of `tar` lies: `shard-00000.tar` -> `shard-00000.index.parquet`."""
    return tar.with_suffix(".index.parquet")


def read_index(tar: Tar, problems: list[str] | None = None) -> pa.Table:
    """The index of one tar, a row a sample; read out of the tar itself where no sidecar lies beside it.

    A tar that was cut off gives its whole samples before the cut, and a sentence in `problems`.
    Raises `OpenAlignError` if the tar or its index is damaged otherwise, or a text in it is not UTF-8.
    """
    problems = [] if problems is None else problems
    try:
        if isinstance(tar, str):
            return _read_index_at(tar, problems)
        sidecar = index_path(tar)
        if sidecar.exists():
            return _read_sidecar(str(sidecar), sidecar.read_bytes())
        with tar.open("rb") as stream:
            return _index_of(tar, stream, problems)
    except (tarfile.TarError, pa.ArrowException, OSError) as error:
        raise OpenAlignError(f"{tar} cannot be read as a shard ({error}): fetch or write it again") from None


def _read_index_at(address: str, problems: list[str]) -> pa.Table:
    sidecar = address.removesuffix(".tar") + ".index.parquet"
    if addresses.exists(sidecar):
        return _read_sidecar(sidecar, addresses.read_whole(sidecar))
    with addresses.opened(address) as stream:
        return _index_of(address, stream, problems)


def _read_sidecar(name: str, data: bytes) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise OpenAlignError(
            f"{name} cannot be read as an index ({reason}): delete it, and the tar is read instead"
        ) from None


def _index_of(tar: Tar, stream: IO[bytes], problems: list[str]) -> pa.Table:
    """One pass over the members: those that share a key, which are neighbours, make a sample."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    rows: list[dict[str, Any]] = []
    suffixes: list[set[str]] = []
    with tarfile.open(fileobj=stream, mode="r:") as opened:
        cut = _walk(tar, opened, size, rows, suffixes)
    if cut:
        if rows and (suffixes[-1] < suffixes[0] or rows[-1]["text"] is None):  # the cut was within a header of it
            del rows[-1]
        if not rows:
            raise tarfile.ReadError("it is cut off within its first sample")
        problems.append(
            f"{tar} is cut off or damaged after {len(rows):,} samples, which are used: fetch or write it again"
        )
    return _table_of(row for row in rows if "image_offset" in row)


def _walk(tar: Tar, opened: tarfile.TarFile, size: int, rows: list[dict[str, Any]], suffixes: list[set[str]]) -> bool:
    """Add the samples of a tar of `size` bytes, and the suffixes each has; returns whether the tar is cut off."""
    row: dict[str, Any] = {}
    while True:
        try:
            member = opened.next()
        except tarfile.ReadError:
            if not rows:
                raise
            return True
        if member is None:
            return size < opened.offset + tarfile.BLOCKSIZE  # without the empty block that closes a tar
        if not member.isfile():
            continue
        key, suffix = _key_and_suffix(member.name)
        if key != row.get("key"):
            row = {"key": key, "text": None}
            rows.append(row)
            suffixes.append(set())
        if member.offset_data + member.size > size:
            del rows[-1], suffixes[-1]
            return True
        suffixes[-1].add(suffix)
        if suffix in IMAGE_SUFFIXES:
            row |= {"image_offset": member.offset_data, "image_size": member.size}
        elif suffix in ("txt", "caption"):
            row["text"] = _read_text(tar, opened, member)
        elif suffix == "json":
            row["_metadata"] = _read_text(tar, opened, member)


def _table_of(rows: Iterable[dict[str, Any]]) -> pa.Table:
    whole = []
    for row in rows:
        try:
            metadata = json.loads(row.pop("_metadata", "{}"))
        except ValueError:
            metadata = {}
        scalars = {
            name: value
            for name, value in (metadata if isinstance(metadata, dict) else {}).items()
            if name not in INDEX_SCHEMA.names and isinstance(value, str | int | float | bool | None)
        }
        whole.append(row | scalars)
    return table_of(whole) if whole else INDEX_SCHEMA.empty_table()


def _key_and_suffix(name: str) -> tuple[str, str]:
    """WebDataset's rule: the key ends at the first dot of the file's name, and what follows is the suffix."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, suffix.lower()


def _read_text(tar: Tar, opened: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stored: IO[bytes] | None = opened.extractfile(member)
    try:
        return stored.read().decode() if stored is not None else ""
    except UnicodeDecodeError as error:
        raise OpenAlignError(
            f"{tar}: {member.name} is not UTF-8 at byte {error.start}: convert it or leave the sample out"
        ) from None
