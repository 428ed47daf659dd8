"""Where a curation runs: relations over whole tables, and a function of each of many items, on one machine or many.

`LocalEngine` has DuckDB and a pool of processes, `spark_engine.SparkEngine` a cluster. The steps of a curation are
written once, for either, and give the same.
"""

import multiprocessing
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from math import ceil
from pathlib import Path
from threading import Event
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

_GROUPED_BEYOND_MEMORY = 5
"""How many times its memory DuckDB groups with ease, the rest on disk; at about 20 times version 2.0 gives up."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(ABC):
    """Runs the steps of one curation; all its files are in `work`. A context manager, which gives the machines back."""

    work: Path
    fetches_apart = False
    """Whether items run on many machines, which can fetch side by side."""

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
    def parts_of(self, size: int) -> int:
        """In how many parts to group rows that take `size` bytes in all, so that the engine can."""

    @abstractmethod
    def write(self, table: ir.Table, path: Path, order_by: Sequence[str]) -> None:
        """Write one Parquet file, its rows in order."""

    @abstractmethod
    def cut(self, name: str, table: ir.Table, order_by: Sequence[str], rows: int) -> list[Path]:
        """Write Parquet files of about `rows` rows each, which follow one another in order.

        On many machines rows that are equal in all of `order_by` stay together, however many they are.
        """

    @abstractmethod
    def run(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        description: str,
        total: int | None = None,
        size_of: Callable[[Item], int] = lambda item: 1,
    ) -> list[Result]:
        """The function of each item, in their order, computed side by side under a progress bar.

        `function` must be picklable: that of a module, or a partial of one. On one machine work begins with the first
        item, while others may still be waited for. `total` is what all items come to on the bar, by their `size_of`.
        """

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
    """DuckDB, which goes to disk for what memory does not hold, and a pool of processes."""

    def __init__(self, work: Path, workers: int, memory: int | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        # Before DuckDB and progress bars have threads, whose locks a forked process would find taken for ever.
        self._pool = _start_processes(workers) if workers > 1 else None
        limit: dict[str, Any] = {} if memory is None else {"memory_limit": f"{memory}MiB"}
        self._backend = ibis.duckdb.connect(work / "relations.duckdb", threads=workers, **limit)

    def read(self, files: Sequence[Path]) -> ir.Table:
        return self._backend.read_parquet([str(file) for file in files])

    def hold(self, name: str, table: ir.Table) -> ir.Table:
        with _within_memory():
            return self._backend.create_table(name, table)

    def parts_of(self, size: int) -> int:
        [limit] = self._backend.raw_sql("SELECT current_setting('memory_limit')").fetchone()
        return ceil(size / (_GROUPED_BEYOND_MEMORY * parse_memory(limit) << 20)) or 1

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
        items: Iterable[Item],
        description: str,
        total: int | None = None,
        size_of: Callable[[Item], int] = lambda item: 1,
    ) -> list[Result]:
        if total is None and isinstance(items, Sized):
            total = len(items)
        with bar(description, total) as running:
            if self._pool is None or (isinstance(items, Sized) and len(items) < 2):
                results = []
                for item in items:
                    results.append(function(item))
                    running.advance(size_of(item))
                return results
            futures: list[Future[Result]] = []
            failed = Event()

            def note(done: Future[Result], size: int) -> None:
                if done.cancelled() or done.exception():
                    failed.set()
                running.advance(size)

            try:
                for item in items:
                    if failed.is_set():
                        break
                    futures.append(self._pool.submit(function, item))
                    futures[-1].add_done_callback(partial(note, size=size_of(item)))
                return [future.result() for future in futures]
            except BrokenProcessPool:
                raise OpenAlignError(
                    f"{description}: a process was killed, most likely for want of memory. Run it again, which goes on "
                    f"where it was, with fewer --workers."
                ) from None
            finally:
                for future in futures:
                    future.cancel()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
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


def _start_processes(count: int) -> ProcessPoolExecutor:
    """Processes with one thread each. Forked ones cost nothing, and scripts need no `if __name__ == "__main__"`."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(count, context, torch.set_num_threads, (1,))
    pool.submit(abs, 0).result()  # the first item starts them all
    return pool


def rows_for(count: int, least: int, most: int, pieces: int = 2048) -> int:
    """Rows of one piece, when `count` rows are to be cut into up to about that many pieces."""
    return max(least, min(most, ceil(count / pieces)))
