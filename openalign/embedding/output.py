"""The folder of vectors while it is written: partitions one by one, the manifest last."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from openalign.embedding.embed_partition import RECORDS, read_record
from openalign.embedding.manifest import MANIFEST, PARTITION, Manifest, Partition, read_manifest, write_manifest
from openalign.errors import OpenAlignError
from openalign.files import sync
from openalign.locks import locked
from openalign.options import option
from openalign.progress import say

_ENGINE = "engine"
_PARTIAL = re.compile(r"\.(manifest|part-[0-9a-f]{24})\.[0-9a-f]+\.partial\.(json|parquet)")
_PARTITION = re.compile(PARTITION)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Hold the lock of `folder` and yield a folder in it for the engine; what a killed run left half done is removed.

    Partitions that are done stay when the block ends by an exception, and the next run takes them.

    Raises:
        OpenAlignError: another run writes it, or it holds something else than vectors.
    """
    with locked(folder):
        _check_ours(folder)
        records = folder / RECORDS
        records.mkdir(parents=True, exist_ok=True)
        _remove_partial(folder)
        _remove_partial(records)
        try:
            yield records / _ENGINE
        except BaseException:
            shutil.rmtree(records / _ENGINE, ignore_errors=True)
            if done := len(list(records.glob("part-*.json"))):
                say(f"{done:,} partitions are done and kept in {folder}: the same command resumes from there.")
            else:
                _remove_if_empty(records)
                _remove_if_empty(folder)
            raise
        shutil.rmtree(records)


def done_before(folder: Path) -> tuple[Manifest | None, dict[str, Partition]]:
    """The manifest of an earlier run, if any, and all partitions that it or an interrupted run recorded, by file."""
    manifest = None
    if (folder / MANIFEST).exists():
        try:
            manifest = read_manifest(folder)
        except OpenAlignError as error:
            say(f"All images are embedded again: {error}")
    known = {each.file: each for each in manifest.partitions} if manifest else {}
    for file in (folder / RECORDS).glob("part-*.json"):
        if (record := read_record(file)) is not None:
            known[record.file] = record
    return manifest, known


def finish(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, then remove what it does not list of earlier runs."""
    write_manifest(manifest, folder)
    listed = {each.file for each in manifest.partitions}
    for path in folder.iterdir():
        if _PARTITION.fullmatch(path.name) and path.name not in listed:
            path.unlink()
    sync(folder)


def left_out_of(partitions: Sequence[Partition]) -> list[object]:
    """What was left out of all partitions, as it was recorded."""
    return [each for partition in partitions for each in partition.left_out]


def _check_ours(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OpenAlignError(f"{folder} is a file: name a folder with {option('to')}.")
    names = {path.name for path in folder.iterdir()}
    if names and RECORDS not in names and not (MANIFEST in names and any(map(_PARTITION.fullmatch, names))):
        raise OpenAlignError(f"{folder} exists and holds no vectors; name a new folder with {option('to')}.")


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _remove_partial(folder: Path) -> None:
    for path in folder.iterdir():
        if _PARTIAL.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
        elif path.name == _ENGINE:
            shutil.rmtree(path, ignore_errors=True)
