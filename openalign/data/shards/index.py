"""The index of a shard: the offset of each image in the tar, its text and its metadata."""

import json
import stat
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from openalign.data.files import remote
from openalign.data.files.recorded import check_recorded
from openalign.data.shards.sidecar import DIGEST, INDEX_SCHEMA, read_sidecar
from openalign.data.shards.tar_samples import samples_of
from openalign.data.tables.combine import table_of
from openalign.errors import OpenAlignError

_MOST_FIELDS = 1_000
"""Distinct fields that the `.json` files of a tar may have in total; each becomes a column."""

Tar = Path | str
"""A local tar, or the URL of one."""


class IndexDamage(OpenAlignError):
    """The index beside a tar is damaged. This ends a run, since no sample need be lost: the tar itself is readable."""


def index_path(tar: Path) -> Path:
    """The path of the index of `tar`: `shard-00000.tar` -> `shard-00000.index.parquet`."""
    return tar.with_suffix(".index.parquet")


def check_sidecars(tars: Iterable[Tar]) -> None:
    """Compare the indexes beside these tars with the checksums of their folder, if it has any.

    Raises `OpenAlignError` naming an index that has changed. The tars themselves are not read.
    """
    beside = [index_path(tar) for tar in tars if isinstance(tar, Path)]
    check_recorded(
        [each for each in beside if each.exists()], "fetch it again, or delete it, and the tar is read instead"
    )


def read_index(tar: Tar, problems: list[str] | None = None) -> pa.Table:
    """The index of one tar, one row per sample; read out of the tar itself if there is no sidecar.

    A truncated tar gives its complete samples. Truncation, and each text or metadata that cannot be used, is added to
    `problems`.
    Raises `OpenAlignError` if the tar is damaged otherwise, `IndexDamage` if its sidecar is.
    """
    problems = [] if problems is None else problems
    try:
        if isinstance(tar, str):
            return _read_index_from_url(tar, problems)
        if not stat.S_ISREG(tar.stat().st_mode):
            raise OSError("it is not a regular file")
        sidecar = index_path(tar)
        if sidecar.exists():
            return _parse_sidecar(str(sidecar), sidecar.read_bytes(), tar)
        with tar.open("rb") as stream:
            return _scan_tar(tar, stream, problems)
    except (tarfile.TarError, pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OpenAlignError(f"{tar} cannot be read as a shard ({reason}): fetch or write it again") from None


def read_indexes(tars: Sequence[Tar], problems: list[str]) -> tuple[list[Tar], list[pa.Table]]:
    """The readable tars and their indexes; each unreadable one is added to `problems`.

    Raises `IndexDamage`, and the `OpenAlignError` of the first tar if none can be read.
    """
    found: list[tuple[Tar, pa.Table]] = []
    first = ""
    for tar in tars:
        try:
            found.append((tar, read_index(tar, problems)))
        except IndexDamage:
            raise
        except OpenAlignError as error:
            first = first or str(error)
            problems.append(str(error))
    if first and not found:
        raise OpenAlignError(first)
    return [tar for tar, _ in found], [index for _, index in found]


def _parse_sidecar(name: str, data: bytes, tar: Path | None = None) -> pa.Table:
    try:
        return read_sidecar(name, data, tar)
    except OpenAlignError as error:
        raise IndexDamage(str(error)) from None


def _read_index_from_url(url: str, problems: list[str]) -> pa.Table:
    sidecar = url.removesuffix(".tar") + ".index.parquet"
    if remote.exists(sidecar):
        return _parse_sidecar(sidecar, remote.read_whole(sidecar))
    with remote.opened(url) as stream:
        return _scan_tar(url, stream, problems)


def _scan_tar(tar: Tar, stream: IO[bytes], problems: list[str]) -> pa.Table:
    rows = samples_of(str(tar), stream, problems)
    return _table_of(tar, rows, problems) if rows else INDEX_SCHEMA.empty_table()


def _table_of(tar: Tar, rows: list[dict[str, Any]], problems: list[str]) -> pa.Table:
    names = dict.fromkeys(INDEX_SCHEMA.names)
    complete = []
    for row in rows:
        fields = _fields(tar, row, problems)
        new = [name for name in fields if name not in names]
        if len(names) + len(new) > _MOST_FIELDS:
            problems.append(
                f"{tar}: the fields of sample {row['key']} are left out: "
                f"the samples have more than {_MOST_FIELDS:,} distinct fields in total"
            )
            fields = {}
        names |= dict.fromkeys(fields)
        complete.append(row | fields)
    return table_of(complete)


def _fields(tar: Tar, row: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Pop the metadata of a row and return its scalar fields, without those named like a column of `INDEX_SCHEMA`."""
    try:
        metadata = json.loads(row.pop("_metadata", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError("it is not an object")
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        problems.append(f"{tar}: the .json of sample {row['key']} is left out: {reason}")
        return {}
    return {
        name: value
        for name, value in metadata.items()
        if name not in (*INDEX_SCHEMA.names, DIGEST) and isinstance(value, str | int | float | bool | None)
    }
