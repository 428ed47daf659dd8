"""The index of a shard: where in the tar each image lies, and what is known of it."""

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
"""Different fields that the `.json` of a tar's samples may have together: each becomes a column."""

Tar = Path | str
"""A tar on this machine, or the address of one."""


class IndexDamage(OpenAlignError):
    """The index beside a tar is damaged. It ends a run: without the index the tar can be read, so no sample need go."""


def index_path(tar: Path) -> Path:
    """Where the index of `tar` lies: `shard-00000.tar` -> `shard-00000.index.parquet`."""
    return tar.with_suffix(".index.parquet")


def check_sidecars(tars: Iterable[Tar]) -> None:
    """Compare the indexes beside these tars with the checksums that their folder was written with, if it has any.

    Raises `OpenAlignError` naming the index that is another one now. The tars themselves are not read.
    """
    beside = [index_path(tar) for tar in tars if isinstance(tar, Path)]
    check_recorded(
        [each for each in beside if each.exists()], "fetch it again, or delete it, and the tar is read instead"
    )


def read_index(tar: Tar, problems: list[str] | None = None) -> pa.Table:
    """The index of one tar, a row a sample; read out of the tar itself where no sidecar lies beside it.

    A tar that was cut off gives its whole samples before the cut, and a sentence in `problems`, as does each sample
    whose text or metadata is no use.
    Raises `OpenAlignError` if the tar is damaged otherwise, `IndexDamage` if its index is.
    """
    problems = [] if problems is None else problems
    try:
        if isinstance(tar, str):
            return _read_index_at(tar, problems)
        if not stat.S_ISREG(tar.stat().st_mode):
            raise OSError("it is no regular file")
        sidecar = index_path(tar)
        if sidecar.exists():
            return _of_sidecar(str(sidecar), sidecar.read_bytes(), tar)
        with tar.open("rb") as stream:
            return _index_of(tar, stream, problems)
    except (tarfile.TarError, pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OpenAlignError(f"{tar} cannot be read as a shard ({reason}): fetch or write it again") from None


def read_indexes(tars: Sequence[Tar], problems: list[str]) -> tuple[list[Tar], list[pa.Table]]:
    """The tars that can be read and their indexes; the others get a line in `problems`.

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


def _of_sidecar(name: str, data: bytes, tar: Path | None = None) -> pa.Table:
    try:
        return read_sidecar(name, data, tar)
    except OpenAlignError as error:
        raise IndexDamage(str(error)) from None


def _read_index_at(address: str, problems: list[str]) -> pa.Table:
    sidecar = address.removesuffix(".tar") + ".index.parquet"
    if remote.exists(sidecar):
        return _of_sidecar(sidecar, remote.read_whole(sidecar))
    with remote.opened(address) as stream:
        return _index_of(address, stream, problems)


def _index_of(tar: Tar, stream: IO[bytes], problems: list[str]) -> pa.Table:
    rows = samples_of(str(tar), stream, problems)
    return _table_of(tar, rows, problems) if rows else INDEX_SCHEMA.empty_table()


def _table_of(tar: Tar, rows: list[dict[str, Any]], problems: list[str]) -> pa.Table:
    names = dict.fromkeys(INDEX_SCHEMA.names)
    whole = []
    for row in rows:
        fields = _fields(tar, row, problems)
        fresh = [name for name in fields if name not in names]
        if len(names) + len(fresh) > _MOST_FIELDS:
            problems.append(
                f"{tar}: the fields of sample {row['key']} are left out: "
                f"the samples have more than {_MOST_FIELDS:,} different ones together"
            )
            fields = {}
        names |= dict.fromkeys(fields)
        whole.append(row | fields)
    return table_of(whole)


def _fields(tar: Tar, row: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Take the metadata out of a row: its fields that are single values, under names that are not ours."""
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
