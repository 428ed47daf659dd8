"""The engine for a Spark cluster.

The work folder and the output folder must have the same path on every machine, and `openalign` must be installed in the
executors' Python.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from openalign.curation.engine.base import Engine, Item, Result
from openalign.curation.engine.cached_map import batches_of
from openalign.curation.isolation.process_pool import limit_torch_threads
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.progress import bar

_MOST_TASKS = 10_000
_ROWS_AT_ONCE = 1 << 16
_POLL_SECONDS = 0.2  # between updates of the progress bar
_KILLED = ("Python worker exited unexpectedly", "ExecutorLostFailure")


class SparkEngine(Engine):
    """Tables are Parquet folders in `work`; each item is a task of a Spark job.

    An active session (of spark-submit or a notebook) is used and left running.
    """

    is_distributed = True

    def __init__(self, work: Path, workers: int, memory: int | None = None, master: str | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work.absolute()
        self._tables = 0
        running = SparkSession.getActiveSession()
        self._is_ours = running is None
        self._session = running or _start(self.work, workers, memory, master)
        self._backend = ibis.pyspark.connect(self._session)

    def read(self, files: Sequence[Path]) -> ir.Table:
        frame = self._session.read.parquet(*(file.absolute().as_uri() for file in files))
        return self._named(frame)

    def materialize(self, name: str, table: ir.Table) -> ir.Table:
        self._frame(table).write.parquet((self.work / name).as_uri())
        return self.read([self.work / name])

    def fetch(self, table: ir.Table) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
        return rows

    def group_count(self, size: int) -> int:
        return 1  # Spark partitions aggregations itself

    def write(self, table: ir.Table, path: Path, order_by: Sequence[str]) -> None:
        folder = self.work / f"{path.name}.partitions"
        self._frame(table).orderBy(*order_by).write.parquet(folder.as_uri())
        partitions = sorted(folder.glob("*.parquet"))
        with whole_file(path) as partial_file, pq.ParquetWriter(partial_file, pq.read_schema(partitions[0])) as whole:
            for batch in batches_of(partitions, _ROWS_AT_ONCE):
                whole.write_batch(batch)

    def partition(self, name: str, table: ir.Table, order_by: Sequence[str], rows: int) -> list[Path]:
        whole = self._frame(self.materialize(f"{name}.whole", table))
        count = max(1, -(-whole.count() // rows))
        partitioned = whole.repartitionByRange(count, *order_by).sortWithinPartitions(*order_by)
        partitioned.write.parquet((self.work / name).as_uri())
        return [file for file in sorted((self.work / name).glob("*.parquet")) if pq.read_metadata(file).num_rows]

    def run(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        description: str,
        total: int | None = None,
        size_of: Callable[[Item], int] = lambda item: 1,
    ) -> list[Result]:
        tasks = [(item, size_of(item)) for item in items]
        if not tasks:
            return []
        context = self._session.sparkContext
        done = context.accumulator(0)
        job = context.parallelize(tasks, min(len(tasks), _MOST_TASKS)).map(
            partial(_counted, function=function, done=done)
        )
        with bar(description, sum(size for _, size in tasks)) as running, ThreadPoolExecutor(1) as thread:
            collecting = thread.submit(job.collect)
            shown = 0
            try:
                while wait([collecting], _POLL_SECONDS).not_done:
                    running.advance(done.value - shown)
                    shown = done.value
            except BaseException:
                context.cancelAllJobs()
                raise
            with _readable_errors(description):
                outcomes = collecting.result()
            running.advance(done.value - shown)
        for outcome in outcomes:
            if isinstance(outcome, OpenAlignError):
                raise outcome
        results: list[Result] = outcomes
        return results

    def close(self) -> None:
        if self._is_ours:
            self._session.stop()

    def _frame(self, table: ir.Table) -> DataFrame:
        return self._session.sql(self._backend.compile(table))

    def _named(self, frame: DataFrame) -> ir.Table:
        self._tables += 1
        name = f"openalign_{id(self):x}_{self._tables}"
        frame.createOrReplaceTempView(name)
        return self._backend.table(name)


@contextmanager
def _readable_errors(description: str) -> Iterator[None]:
    """Turn Spark's report that it gave up a task whose process was killed into a message that says what to do."""
    try:
        yield
    except Py4JJavaError as error:
        if not any(sign in str(error) for sign in _KILLED):
            raise
        raise OpenAlignError(
            f"{description}: a process of Spark was killed, most likely for lack of memory. Give its executors more "
            "memory or fewer cores, and run the command again: it resumes where it stopped."
        ) from None


def _counted(task: tuple[Any, int], function: Callable[[Any], Any], done: Any) -> Any:
    """The result for one item. An OpenAlignError is returned: Spark would bury its message in a Java stack trace."""
    limit_torch_threads()
    item, size = task
    try:
        return function(item)
    except OpenAlignError as error:
        return error
    finally:
        done.add(size)
        _freeze_modules()


@cache
def _freeze_modules() -> None:
    """After the first task of a process: hide what is imported from the garbage collector, which Spark calls after each
    task. With torch among it a call takes a quarter of a second."""
    gc.collect()
    gc.freeze()


def _start(work: Path, workers: int, memory: int | None, master: str | None) -> SparkSession:
    """A session on `master`; None: the master of spark-submit, else this machine."""
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if master is None and not submitted:
        master = f"local[{workers}]"
    settings: dict[str, Any] = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    if master is not None and master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.local.dir": str(work / "spark"),
            "spark.sql.shuffle.partitions": str(4 * workers),
        }
    if memory is not None:
        settings["spark.driver.memory"] = f"{memory}m"
    builder = SparkSession.builder.appName("openalign").config(map=settings)
    try:
        return (builder if master is None else builder.master(master)).getOrCreate()
    except PySparkException as error:
        raise OpenAlignError(f"Spark could not be started: {error}. It needs Java 17 or newer.") from error
