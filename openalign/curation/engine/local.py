"""The engine for one machine: DuckDB, which spills to disk, and a pool of processes."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cached_property, partial
from math import ceil
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any

import duckdb
import ibis
import ibis.backends.duckdb  # a third of all that is imported: with the rest, not when the engine opens
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.curation.engine.base import Engine, Item, Result, parse_memory
from openalign.curation.isolation.process_pool import ProcessPool
from openalign.errors import OpenAlignError
from openalign.options import option
from openalign.progress import bar

_GROUPED_BEYOND_MEMORY = 5
"""DuckDB aggregates this many times its memory limit without trouble by spilling; 2.0 fails at about 20 times."""
_IN_MEMORY = 50
"""If Parquet files are smaller than this part of the memory limit, tables made from them are kept in memory."""


class LocalEngine(Engine):
    """A DuckDB file in `work` and `workers` processes. `memory` is in MiB; None: 80 % of the machine's."""

    def __init__(self, work: Path, workers: int, memory: int | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        pa.array([0])  # imports pandas if it is installed: here once, rather than in each forked process
        # Fork before DuckDB and progress bars start threads: a forked process would inherit locks held for ever.
        self._pool = ProcessPool(workers) if workers > 1 else None
        limit: dict[str, Any] = {} if memory is None else {"memory_limit": f"{memory}MiB"}
        with _readable_errors():
            self._backend = ibis.duckdb.connect(work / "relations.duckdb", threads=workers, **limit)
        self._bytes_read = 0

    def read(self, files: Sequence[Path]) -> ir.Table:
        self._bytes_read += sum(file.stat().st_size for file in files)
        return self._backend.read_parquet([str(file) for file in files])

    def materialize(self, name: str, table: ir.Table) -> ir.Table:
        # To write the file costs more than most queries over a small crawl. Of a large one, which memory does not hold,
        # temporary tables take twice the room on the disk.
        is_small = self._bytes_read * _IN_MEMORY < self._memory
        return self._backend.create_table(name, table, temp=is_small)

    def fetch(self, table: ir.Table) -> list[dict[str, Any]]:
        # Without `table.to_pyarrow`, which imports pandas: a twentieth of a short curation.
        found = self._backend.con.sql(self._backend.compile(table)).to_arrow_table()
        rows: list[dict[str, Any]] = found.cast(table.schema().to_pyarrow()).to_pylist()
        return rows

    def group_count(self, size: int) -> int:
        return ceil(size / (_GROUPED_BEYOND_MEMORY * self._memory)) or 1

    def write(self, table: ir.Table, path: Path, order_by: Sequence[str]) -> None:
        self._backend.to_parquet(table.order_by(*order_by), path)

    def partition(self, name: str, table: ir.Table, order_by: Sequence[str], rows: int) -> list[Path]:
        whole, folder = self.work / f"{name}.whole.parquet", self.work / name
        folder.mkdir()
        self.write(table, whole, order_by)
        partitions = []
        for number, batch in enumerate(pq.ParquetFile(whole).iter_batches(rows)):
            partitions.append(folder / f"{number:06d}.parquet")
            pq.write_table(pa.Table.from_batches([batch]), partitions[-1])
        whole.unlink()
        return partitions

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
            try:
                return _run_in_pool(self._pool, function, items, size_of, running.advance)
            except BrokenProcessPool:
                raise OpenAlignError(
                    f"{description}: a process was killed, most likely for lack of memory. Run the command again with "
                    f"fewer {option('workers')}: it resumes where it stopped."
                ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if isinstance(error, duckdb.Error):  # also from queries that ran through an Ibis table
            with _readable_errors():
                raise error

    @cached_property
    def _memory(self) -> int:
        """DuckDB's limit, in bytes."""
        [limit] = self._backend.raw_sql("SELECT current_setting('memory_limit')").fetchone()
        return parse_memory(limit) << 20

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._backend.disconnect()


def _run_in_pool(
    pool: ProcessPool,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    size_of: Callable[[Item], int],
    advance: Callable[[int], None],
) -> list[Result]:
    """The results in the order of the items. After a failure no further item is submitted."""
    futures: list[Future[Result]] = []
    failed = Event()

    def note(future: Future[Result], size: int) -> None:
        if future.cancelled() or future.exception():
            failed.set()
        advance(size)

    try:
        for item in items:
            if failed.is_set():
                break
            futures.append(pool.submit(function, item))
            futures[-1].add_done_callback(partial(note, size=size_of(item)))
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Turn DuckDB's errors about memory and disk into error messages that say what to do."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OpenAlignError(
            f"DuckDB ran out of memory ({_first_line(error)}): raise {option('memory')} or lower {option('workers')}"
        ) from None
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
        raise OpenAlignError(
            f"DuckDB cannot use its files ({_first_line(error)}): free or repair the disk, then run it again"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
