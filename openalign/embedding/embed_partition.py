"""Embeds the images of one partition into a Parquet file: what a worker of either engine runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from openalign.checksums import checksum_of
from openalign.data.images.frames import further_frames
from openalign.data.left_out import Kind, LeftOut, as_json, listing
from openalign.embedding.batches import embedded_batches
from openalign.embedding.columns import Embedded, parquet_writer, schema_of, table_of
from openalign.embedding.manifest import Partition
from openalign.embedding.partitions import Making, Planned
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.model import hub
from openalign.model.dual_encoder import DualEncoder
from openalign.regular import read_regular

RECORDS = ".unfinished"
"""The folder, in that of the vectors, with what a run that has not finished knows of its partitions."""
_ROW_GROUP = 1024
"""Rows that are held until they are written."""
_MOST_RECORD_BYTES = 1 << 24


def embed_partition(planned: Planned, making: Making, folder: Path) -> Partition:
    """Write `folder`/NAME.parquet unless it is there and whole; afterwards its record, without which it does not count.

    The last bits of a vector depend on the other images of its batch and on the number of threads. Batches follow from
    the partition and there is one thread, so the file has the same bytes whoever writes it.

    Raises:
        OpenAlignError: the model cannot be loaded, or is not the one whose fingerprint `making` has.
    """
    path = folder / f"{planned.name}.parquet"
    if planned.done is not None and _is_whole(path, planned.done):
        return planned.done
    with _one_thread(), whole_file(path) as partial:
        model = _model(making.model, making.fingerprint)
        rows, problems = _write(partial, planned, making, model)
    checksum = checksum_of(path)
    left_out = [as_json(problem) for problem in problems]
    record = Partition(path.name, rows, model.width, checksum.bytes, checksum.sha256, left_out)
    with whole_file(record_file(folder, planned.name)) as partial:
        partial.write_text(json.dumps(asdict(record)), encoding="utf-8")
    return record


def _write(path: Path, planned: Planned, making: Making, model: DualEncoder) -> tuple[int, list[str]]:
    """Embed a partition into a file; returns the number of its rows, and a message for what was left out."""
    schema = schema_of(model.width, thumbnails=making.thumbnails, texts=making.texts)
    problems: list[str] = []
    waiting: list[Embedded] = []
    frames: dict[str, int] = {}
    rows = 0
    with parquet_writer(path, schema) as writer, listing(problems, planned.pairs.name) as found:
        for batch in embedded_batches(planned, model, making, frames):
            for item in batch:
                if isinstance(item, LeftOut):
                    found.add(Kind.IMAGE_NOT_READ, item)
                else:
                    waiting.append(item)
            if len(waiting) >= _ROW_GROUP:
                writer.write_table(table_of(waiting, schema))
                rows += len(waiting)
                waiting.clear()
        if waiting:
            writer.write_table(table_of(waiting, schema))
    return rows + len(waiting), [*problems, *further_frames(frames, planned.pairs.name)]


def record_file(folder: Path, name: str) -> Path:
    """The file with the record of a partition, until the manifest holds it."""
    return folder / RECORDS / f"{name}.json"


def read_record(file: Path) -> Partition | None:
    """The record in a file that `embed_partition` wrote; None if it is missing or damaged."""
    with suppress(OSError, ValidationError):
        return TypeAdapter(Partition).validate_json(read_regular(file, _MOST_RECORD_BYTES))
    return None


def _is_whole(path: Path, record: Partition) -> bool:
    try:
        if path.name != record.file or path.stat().st_size != record.bytes:
            return False
        return checksum_of(path).sha256 == record.sha256
    except OSError:
        return False


@lru_cache(maxsize=1)
def _model(name: str, fingerprint: str) -> DualEncoder:
    """The model, loaded once in each process."""
    model = hub.load(name)
    if model.fingerprint != fingerprint:
        raise OpenAlignError(f"{name} is not the model that it was when this run began, on the machine that began it.")
    return model


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch while the block runs: each of the other cores has a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
