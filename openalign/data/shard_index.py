"""The index of a shard: where in the tar each image lies, and what is known of it."""

import json
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.data.tables import table_of
from openalign.errors import OpenAlignError

INDEX_SCHEMA = pa.schema(
    [("key", pa.string()), ("text", pa.string()), ("image_offset", pa.int64()), ("image_size", pa.int64())]
)
"""The columns every index has; a sample's metadata adds more."""

IMAGE_SUFFIXES = frozenset(
    ("jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2", "ico", "ppm")
)


def index_path(tar: Path) -> Path:
    """Where the index of `tar` lies: `shard-00000.tar` -> `shard-00000.index.parquet`."""
    return tar.with_suffix(".index.parquet")


def read_index(tar: Path) -> pa.Table:
    """The index of one tar, a row a sample; read out of the tar itself where no sidecar lies beside it.

    Raises `OpenAlignError` if the tar or its index is damaged, or a text in it is not UTF-8.
    """
    sidecar = index_path(tar)
    try:
        if sidecar.exists():
            return pq.read_table(sidecar)
        with tarfile.open(tar, "r:") as opened:
            return _index_of(tar, opened)
    except (tarfile.TarError, pa.ArrowException, OSError) as error:
        raise OpenAlignError(f"{tar} cannot be read as a shard ({error}): fetch or write it again") from None


def _index_of(tar: Path, opened: tarfile.TarFile) -> pa.Table:
    """One pass over the members: those that share a key, which are neighbours, make a sample."""
    rows: list[dict[str, Any]] = []
    row: dict[str, Any] = {}
    for member in opened:
        if not member.isfile():
            continue
        key, suffix = _key_and_suffix(member.name)
        if key != row.get("key"):
            row = {"key": key, "text": None}
            rows.append(row)
        if suffix in IMAGE_SUFFIXES:
            row |= {"image_offset": member.offset_data, "image_size": member.size}
        elif suffix in ("txt", "caption"):
            row["text"] = _read_text(tar, opened, member)
        elif suffix == "json":
            row["_metadata"] = _read_text(tar, opened, member)
    return _table_of(row for row in rows if "image_offset" in row)


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


def _read_text(tar: Path, opened: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stored: IO[bytes] | None = opened.extractfile(member)
    try:
        return stored.read().decode() if stored is not None else ""
    except UnicodeDecodeError as error:
        raise OpenAlignError(
            f"{tar}: {member.name} is not UTF-8 at byte {error.start}: convert it or leave the sample out"
        ) from None
