"""Where a curation runs: relations over whole tables, and a function of each of many items, on one machine or many.

`LocalEngine` has DuckDB and a pool of processes, `spark_engine.SparkEngine` a cluster. The steps of a curation are
written once, for either, and give the same.
"""

import multiprocessing
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from openalign.errors import OpenAlignError
from openalign.progress import bar

ENGINES = ("local", "spark")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(ABC):
    """Runs the steps of one curation; all its files are in `work`. A context manager, which gives the machines back."""

    work: Path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def read(self, files: Sequence[Path]) -> ir.Table:
        """Parquet files of the same columns, as one table."""

    @abstractmethod
    def hold(self, name: str, table: ir.Table) -> ir.Table:
        """The same table, computed now rather than each time it is read. A name serves once."""

    @abstractmethod
    def write(self, table: ir.Table, path: Path, order_by: Sequence[str]) -> None:
        """Write one Parquet file, its rows in order."""

    @abstractmethod
    def cut(self, name: str, table: ir.Table, order_by: Sequence[str], rows: int) -> list[Path]:
        """Write Parquet files of about `rows` rows each, which follow one another in order."""

    @abstractmethod
    def run(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        description: str,
        sizes: Sequence[int] | None = None,
    ) -> list[Result]:
        """The function of each item, in their order, computed side by side under a progress bar.

        `function` must be picklable: that of a module, or a partial of one. `sizes` says what each item counts on the
        bar (default: 1).
        """

    @abstractmethod
    def get_ready(self) -> None:
        """Start what `run` will need, while something else has to be waited for."""

    @abstractmethod
    def close(self) -> None:
        """Give back processes and connections."""

    def hold_rows(self, name: str, rows: pa.Table) -> ir.Table:
        """Rows made in this process, as a table of the engine. A name serves once."""
        path = self.work / f"{name}.parquet"
        pq.write_table(rows, path)
        return self.read([path])


def open_engine(name: str, work: Path, *, workers: int, master: str | None = None, memory: str | None = None) -> Engine:
    """The engine called `name`, keeping its files in the folder `work`.

    `workers` are the processes of one machine. `master` is Spark's, `memory` (such as 4GB) what DuckDB, or Spark's
    driver, may use; None: as they ship. Raises OpenAlignError for what no engine can do.
    """
    size = None if memory is None else parse_memory(memory)
    if name == "local":
        if master is not None:
            raise OpenAlignError("--master is Spark's: give --engine spark as well")
        return LocalEngine(work, workers, size)
    if name == "spark":
        from openalign.curate.spark_engine import SparkEngine  # pyspark, an extra

        return SparkEngine(work, workers, size, master)
    raise OpenAlignError(f"there is no engine {name!r}: use --engine {' or --engine '.join(ENGINES)}")


def parse_memory(text: str) -> int:
    """`4GB`, `4g`, `500 MiB` -> mebibytes. Raises OpenAlignError for anything else, and for less than 128."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mgt])(?:i?b)?", text.strip().lower())
    if match is None:
        raise OpenAlignError(f"--memory {text}: give a number and a unit, such as 4GB or 500MB")
    size = int(float(match[1]) * {"m": 1, "g": 1 << 10, "t": 1 << 20}[match[2]])
    if size < 128:
        raise OpenAlignError(f"--memory {text}: nothing can be sorted in less than 128MB")
    return size


class LocalEngine(Engine):
    """DuckDB, which goes to disk for what memory does not hold, and processes, which start at the first need."""

    def __init__(self, work: Path, workers: int, memory: int | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        limit: dict[str, Any] = {} if memory is None else {"memory_limit": f"{memory}MiB"}
        self._backend = ibis.duckdb.connect(work / "relations.duckdb", threads=workers, **limit)

    def read(self, files: Sequence[Path]) -> ir.Table:
        return self._backend.read_parquet([str(file) for file in files])

    def hold(self, name: str, table: ir.Table) -> ir.Table:
        with _within_memory():
            return self._backend.create_table(name, table)

    def write(self, table: ir.Table, path: Path, order_by: Sequence[str]) -> None:
        with _within_memory():
            self._backend.to_parquet(table.order_by(*order_by), path)

    def cut(self, name: str, table: ir.Table, order_by: Sequence[str], rows: int) -> list[Path]:
        whole, folder = self.work / f"{name}.whole.parquet", self.work / name
        folder.mkdir()
        self.write(table, whole, order_by)
        pieces = []
        for number, batch in enumerate(pq.ParquetFile(whole).iter_batches(rows)):
            pieces.append(folder / f"{number:06d}.parquet")
            pq.write_table(pa.Table.from_batches([batch]), pieces[-1])
        whole.unlink()
        return pieces

    def run(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        description: str,
        sizes: Sequence[int] | None = None,
    ) -> list[Result]:
        sizes = sizes or [1] * len(items)
        with bar(description, sum(sizes)) as running:
            if min(self._workers, len(items)) < 2:
                results = []
                for item, size in zip(items, sizes, strict=True):
                    results.append(function(item))
                    running.advance(size)
                return results
            futures = self._submit(function, items)
            size_of = dict(zip(futures, sizes, strict=True))
            try:
                for done in as_completed(futures):
                    done.result()
                    running.advance(size_of[done])
            except BrokenProcessPool:
                raise OpenAlignError(
                    f"{description}: a process was killed, most likely for want of memory. Run it again, which goes on "
                    f"where it was, with fewer --workers."
                ) from None
            finally:
                for future in futures:
                    future.cancel()
            return [future.result() for future in futures]

    def get_ready(self) -> None:
        if self._workers > 1:
            self._submit(abs, range(self._workers))

    def _submit(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Future[Result]]:
        # No fork: the parent runs threads (DuckDB, torch, the progress display) whose locks a forked child would have.
        context = multiprocessing.get_context("spawn")
        with _without_main():
            if self._pool is None:
                self._pool = ProcessPoolExecutor(self._workers, context, torch.set_num_threads, (1,))
            return [self._pool.submit(function, item) for item in items]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._backend.disconnect()


@contextmanager
def _within_memory() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        said = str(error).partition("\n")[0]
        raise OpenAlignError(
            f"DuckDB has too little memory ({said}): give it more --memory, or fewer --workers"
        ) from None


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes started here do not run the user's script again, which need not have `if __name__ == "__main__"`."""
    main = sys.modules["__main__"].__dict__
    hidden: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)


def rows_for(count: int, least: int, most: int, pieces: int = 2048) -> int:
    """Rows of one piece, when `count` rows are to be cut into up to about that many pieces."""
    return max(least, min(most, ceil(count / pieces)))
