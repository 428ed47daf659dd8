"""A function over the pieces of a table. Each result is kept under what it was made from: no run makes it twice."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.curate.engine import Engine
from openalign.files import whole_file

Function = Callable[[pa.Table, Path], pa.Table]
"""The rows of a piece, and a path without a suffix beside the result for what does not fit a table -> the result."""


def work_through(
    engine: Engine, pieces: Sequence[Path], function: Function, folder: Path, description: str
) -> list[Path]:
    """Apply `function` (see `Engine.run`) to each of the Parquet files; the files of results, in the same order.

    Results are kept in `folder`, and taken from there where an earlier run left them.
    """
    folder.mkdir(exist_ok=True)
    sizes = [pq.read_metadata(piece).num_rows for piece in pieces]
    return engine.run(partial(result_of, function=function, folder=folder), pieces, description, sizes)


def result_of(piece: Path, function: Function, folder: Path) -> Path:
    """The file with the result of one piece, made unless it is there."""
    rows = pq.read_table(piece)
    digest = hashlib.sha256(json.dumps(rows.to_pylist()).encode()).hexdigest()
    result = folder / f"{digest[:32]}.parquet"
    if not result.exists():
        with whole_file(result) as partial_file:
            pq.write_table(function(rows, result.with_suffix("")), partial_file)
    return result


def batches_of(files: Sequence[Path], rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of several Parquet files, in order, at most `rows` at once."""
    for file in files:
        yield from pq.ParquetFile(file).iter_batches(rows, columns=columns)


def count_rows(files: Sequence[Path]) -> int:
    return sum(pq.read_metadata(file).num_rows for file in files)
