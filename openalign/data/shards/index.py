"""The index of a shard: the offset of each image in the tar, its text and its metadata."""

import stat
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.files import remote
from openalign.data.files.damage import reason_of, start_of
from openalign.data.files.recorded import check_recorded
from openalign.data.left_out import Kind, LeftOut
from openalign.data.shards.matching import mismatch, mismatch_at
from openalign.data.shards.rows import Rows, SampleOptions, rows_of, with_texts_of
from openalign.data.shards.sidecar import read_sidecar
from openalign.data.shards.tar_samples import CLASS_NAMES, samples_of
from openalign.errors import OpenAlignError

ALL_SAMPLES = SampleOptions(need_text=False)
"""Every image, also one whose text cannot be read."""

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


def read_index(tar: Tar, problems: list[str] | None = None, options: SampleOptions = ALL_SAMPLES) -> pa.Table:
    """The index of one tar, a row for each caption of an image, and one for an image without any.

    It is read out of the tar itself if there is no sidecar, or one of another tar; then it has the column `MEMBER`.
    A cut-off tar gives its complete samples. What is left out, and each choice among texts, is added to `problems`.
    Raises `OpenAlignError` if the tar is damaged otherwise or has no such image or text, `IndexDamage` if its sidecar
    is damaged.
    """
    rows = _read(tar, [] if problems is None else problems, options)
    if rows.no_such_text:
        raise OpenAlignError(rows.no_such_text)
    return rows.table


@dataclass(frozen=True)
class Indexes:
    """The readable tars of several, and the index of each."""

    tars: list[Tar]
    tables: list[pa.Table]
    taken: Mapping[str, str]
    """What is taken for `image`, `text` and `label`, of the first tars that have any."""


def read_indexes(tars: Sequence[Tar], problems: list[str], options: SampleOptions = ALL_SAMPLES) -> Indexes:
    """The indexes of several tars; each unreadable one is added to `problems`.

    Raises `IndexDamage`, and the `OpenAlignError` of the first tar if none can be read, or if none has the text that
    is asked for.
    """
    found: list[tuple[Tar, Rows]] = []
    first = ""
    for tar in tars:
        try:
            found.append((tar, _read(tar, problems, options)))
        except IndexDamage:
            raise
        except OpenAlignError as error:
            first = first or str(error)
            problems.append(LeftOut(Kind.FILE_NOT_READ, str(error)))
    if first and not found:
        raise OpenAlignError(first)
    without = [rows.no_such_text for _, rows in found if rows.no_such_text]
    if without and not any(len(rows.table) and not rows.no_such_text for _, rows in found):
        raise OpenAlignError(without[0])
    taken: dict[str, str] = {}
    for _, rows in found:
        taken |= {role: what for role, what in rows.taken.items() if what and role not in taken and len(rows.table)}
    return Indexes([tar for tar, _ in found], [rows.table for _, rows in found], taken)


def _read(tar: Tar, problems: list[str], options: SampleOptions) -> Rows:
    try:
        if isinstance(tar, str):
            return _read_from_url(tar, problems, options)
        if not stat.S_ISREG(tar.stat().st_mode):
            raise OSError("it is not a regular file")
        sidecar = index_path(tar)
        if _is_asked_for(options) and sidecar.exists():
            index = _parse_sidecar(str(sidecar), sidecar.read_bytes())
            why, cut_at = mismatch(index, sidecar.stat().st_mtime, tar)
            if not why:
                index = index if cut_at is None else _before(cut_at, index, tar, problems)
                return with_texts_of(index, str(tar), options)
            problems.append(_not_of_this_tar(str(sidecar), why))
        with tar.open("rb") as stream:
            return _scan_tar(tar, stream, problems, options)
    except (tarfile.TarError, pa.ArrowException, OSError) as error:
        reason = reason_of(error, start_of(tar))
        raise OpenAlignError(f"{tar} cannot be read as a shard ({reason}): fetch or write it again") from None


def _read_from_url(url: str, problems: list[str], options: SampleOptions) -> Rows:
    sidecar = url.removesuffix(".tar") + ".index.parquet"
    if _is_asked_for(options) and remote.exists(sidecar):
        index = _parse_sidecar(sidecar, remote.read_whole(sidecar))
        if not (why := mismatch_at(index, url)):
            return with_texts_of(index, url, options)
        problems.append(_not_of_this_tar(sidecar, why))
    with remote.opened(url) as stream:
        return _scan_tar(url, stream, problems, options)


def _is_asked_for(options: SampleOptions) -> bool:
    """Whether a sidecar has the images that are asked for: it has one image of each sample, of any suffix."""
    return options.image_column in (None, "image")


def _parse_sidecar(name: str, data: bytes) -> pa.Table:
    try:
        return read_sidecar(name, data)
    except OpenAlignError as error:
        raise IndexDamage(str(error)) from None


def _not_of_this_tar(sidecar: str, why: str) -> str:
    return f"{sidecar} is not the index of this tar ({why}), and the tar is read instead: delete the index"


def _before(end: int, index: pa.Table, tar: Path, problems: list[str]) -> pa.Table:
    """The rows of a cut-off tar whose images it still holds. Raises `tarfile.ReadError` if there are none."""
    kept = index.filter(pc.less_equal(pc.add(index["image_offset"], index["image_size"]), end))
    if lost := len(index) - len(kept):
        if not len(kept):
            raise tarfile.ReadError("it is cut off within its first sample")
        message = f"{tar} is cut off after {len(kept):,} of its {len(index):,} samples, which are used: fetch it again"
        problems.append(LeftOut(Kind.SAMPLE_CUT_OFF, message, lost))
    return kept


def _scan_tar(tar: Tar, stream: IO[bytes], problems: list[str], options: SampleOptions) -> Rows:
    samples, class_names = samples_of(str(tar), stream, problems, options.image_column)
    if class_names is None and any(sample.label is not None for sample in samples):
        class_names = _class_names_beside(tar)
    return rows_of(str(tar), samples, class_names, options, problems)


def _class_names_beside(tar: Tar) -> str | None:
    """The `CLASS_NAMES` in the folder of a tar or the one above."""
    folder = str(tar).rpartition("/")[0] if isinstance(tar, str) else tar.absolute().parent
    for _ in range(2):
        file = f"{folder}/{CLASS_NAMES}" if isinstance(folder, str) else folder / CLASS_NAMES
        if isinstance(file, str) and remote.exists(file):
            return remote.read_whole(file).decode(errors="replace")
        if isinstance(file, Path) and file.is_file():
            return file.read_text(encoding="utf-8-sig", errors="replace")
        folder = folder.rpartition("/")[0] if isinstance(folder, str) else folder.parent
    return None
