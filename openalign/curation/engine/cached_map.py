"""A function applied to each partition of a table, its results cached so that an interrupted run resumes.

A result is stored under a hash of its input. Before a cached result is used it is compared with its checksums: a power
cut, or a disk, may have damaged it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.checksums import Checksum, checksum_of
from openalign.curation.engine.base import Engine
from openalign.files import whole_file
from openalign.version import __version__

STEPS = "steps"
"""The folder in an engine's work folder with one folder of results per cached step. It outlives an interrupted run."""

Function = Callable[[pa.Table, Path], pa.Table]
"""(rows of a partition, path without suffix for files beside the result) -> result."""


def step_folder(work: Path, step: str) -> Path:
    """The folder for the results of the step called `step`, created if missing; `work` is the engine's work folder."""
    folder = work / STEPS / step
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def count_results(work: Path) -> int:
    """The number of complete results that all steps have stored in the work folder."""
    return sum(1 for _ in (work / STEPS).rglob("*.json"))


def cached_map(
    engine: Engine,
    step: str,
    function: Function,
    partitions: Iterable[Path],
    *,
    description: str,
    rows: int,
    depends_on: Mapping[str, Any] | None = None,
    state_of: Callable[[pa.Table], Any] | None = None,
) -> list[Path]:
    """Apply `function` to each Parquet file of `partitions`, see `Engine.run`; return the result files, sorted alike.

    Partitions may arrive one by one and in any order. Results are cached in the folder of `step`. `depends_on` holds
    what they depend on besides their rows and the version of openalign, as JSON values; `state_of` gives, likewise, the
    state of what the rows refer to, such as files. `rows` is the number of rows of all partitions.
    """
    task = partial(
        cached_result,
        function=function,
        folder=step_folder(engine.work, step),
        depends_on={"version": __version__, **(depends_on or {})},
        state_of=state_of,
    )
    taken: list[Path] = []
    results = engine.run(task, _recorded(partitions, taken), description, rows, _row_count)
    return [result for _, result in sorted(zip(taken, results, strict=True))]


def _recorded(partitions: Iterable[Path], taken: list[Path]) -> Iterator[Path]:
    for file in partitions:
        taken.append(file)
        yield file


def cached_result(
    file: Path,
    function: Function,
    folder: Path,
    depends_on: Mapping[str, Any],
    state_of: Callable[[pa.Table], Any] | None = None,
) -> Path:
    """The file with the result for one partition, computed unless `folder` holds it undamaged."""
    rows = pq.ParquetFile(file).read()
    key = [depends_on, rows.to_pylist(), state_of(rows) if state_of else None]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    result = folder / f"{digest[:32]}.parquet"
    checksums = result.with_suffix(".json")
    if _is_intact(checksums):
        checksums.touch()  # when it was last used
    else:
        with whole_file(result, durable=False) as partial_file:
            pq.write_table(function(rows, result.with_suffix("")), partial_file)
        written = {
            path.name: asdict(checksum_of(path)) for path in folder.glob(f"{result.stem}.*") if path != checksums
        }
        with whole_file(checksums, durable=False) as partial_file:  # last: a result without checksums does not count
            partial_file.write_text(json.dumps(written), encoding="utf-8")
    return result


def _is_intact(checksums: Path) -> bool:
    """Whether all files of a result exist and match their checksums."""
    try:
        written = json.loads(checksums.read_bytes())
        return bool(written) and all(
            checksum_of(checksums.with_name(name)) == Checksum(**written[name]) for name in written
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def batches_of(files: Sequence[Path], rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of several Parquet files, in order, in batches of at most `rows`."""
    for file in files:
        yield from pq.ParquetFile(file).iter_batches(rows, columns=columns)


def count_rows(files: Iterable[Path]) -> int:
    """The number of rows of all these Parquet files."""
    return sum(map(_row_count, files))


def _row_count(file: Path) -> int:
    count: int = pq.read_metadata(file).num_rows
    return count
