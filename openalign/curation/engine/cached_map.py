"""A function over the pieces of a table. Each result is kept under what it was made from: no run makes it twice.

What an earlier run left is compared with its checksums before it is taken: a power cut, or a disk, may have damaged it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.checksums import Checksum, checksum_of
from openalign.curation.engine.base import Engine
from openalign.files import whole_file

Function = Callable[[pa.Table, Path], pa.Table]
"""The rows of a piece, and a path without a suffix beside the result for what does not fit a table -> the result."""


def work_through(
    engine: Engine, pieces: Iterable[Path], function: Function, folder: Path, description: str, total: int
) -> list[Path]:
    """Apply `function` (see `Engine.run`) to each of the Parquet files; the files of results, by the pieces' names.

    Pieces may come in any order, and one after the other. Results are kept in `folder`, and taken from there where an
    earlier run left them. `total` are the rows of all pieces.
    """
    folder.mkdir(exist_ok=True)
    taken: list[Path] = []
    results = engine.run(
        partial(result_of, function=function, folder=folder), _noted(pieces, taken), description, total, _rows_of
    )
    return [result for _, result in sorted(zip(taken, results, strict=True))]


def _noted(pieces: Iterable[Path], taken: list[Path]) -> Iterator[Path]:
    for piece in pieces:
        taken.append(piece)
        yield piece


def result_of(piece: Path, function: Function, folder: Path) -> Path:
    """The file with the result of one piece, made unless it is there, whole and as it was written."""
    rows = pq.read_table(piece)
    digest = hashlib.sha256(json.dumps(rows.to_pylist()).encode()).hexdigest()
    result = folder / f"{digest[:32]}.parquet"
    checksums = result.with_suffix(".json")
    if not _is_as_written(checksums):
        with whole_file(result, durable=False) as partial_file:
            pq.write_table(function(rows, result.with_suffix("")), partial_file)
        made = {file.name: asdict(checksum_of(file)) for file in folder.glob(f"{result.stem}.*") if file != checksums}
        with whole_file(checksums, durable=False) as partial_file:  # last: without it nothing counts
            partial_file.write_text(json.dumps(made), encoding="utf-8")
    return result


def _is_as_written(checksums: Path) -> bool:
    """Whether the files of a result are there, and what their checksums say."""
    try:
        made = json.loads(checksums.read_bytes())
        return bool(made) and all(checksum_of(checksums.with_name(name)) == Checksum(**made[name]) for name in made)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def batches_of(files: Sequence[Path], rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of several Parquet files, in order, at most `rows` at once."""
    for file in files:
        yield from pq.ParquetFile(file).iter_batches(rows, columns=columns)


def count_rows(files: Iterable[Path]) -> int:
    return sum(map(_rows_of, files))


def _rows_of(file: Path) -> int:
    rows: int = pq.read_metadata(file).num_rows
    return rows
