"""The interface of an execution engine: relational queries over whole tables, and a function mapped over many items.

`local.LocalEngine` uses DuckDB and a pool of processes, `spark.SparkEngine` a cluster. The steps of a curation are
written once against this interface and give the same results on both.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.errors import UsageError
from openalign.options import option

Item = TypeVar("Item")
Result = TypeVar("Result")

_PARTITIONS = 2048


class Engine(ABC):
    """Runs the steps of one curation; all its files are in `work`. A context manager that releases its resources."""

    work: Path
    is_distributed = False
    """Whether items run on several machines, which can fetch images in parallel."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def read(self, files: Sequence[Path]) -> ir.Table:
        """Parquet files with the same columns, as one table."""

    @abstractmethod
    def materialize(self, name: str, table: ir.Table) -> ir.Table:
        """Compute a table now instead of each time it is read. A name can be used once."""

    @abstractmethod
    def fetch(self, table: ir.Table) -> list[dict[str, Any]]:
        """The rows of a small table, such as counts, in its order."""

    def count(self, table: ir.Table) -> int:
        """The number of rows."""
        [row] = self.fetch(table.agg(rows=table.count()))
        return int(row["rows"])

    @abstractmethod
    def group_count(self, size: int) -> int:
        """The number of passes in which to group rows of `size` bytes in total, so that each fits in memory."""

    @abstractmethod
    def write(self, table: ir.Table, path: Path, order_by: Sequence[str]) -> None:
        """Write one Parquet file, sorted by `order_by`."""

    @abstractmethod
    def partition(self, name: str, table: ir.Table, order_by: Sequence[str], rows: int) -> list[Path]:
        """Write a table as range-partitioned Parquet files of about `rows` rows each, sorted by `order_by`.

        On a cluster, rows that are equal in all of `order_by` stay in one partition, however many they are.
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
        """Apply a function to each item in parallel, with a progress bar; the results in the order of the items.

        `function` must be picklable: a function of a module, or a partial of one. On one machine work begins with the
        first item, while `items` may still be producing others. `total` is the sum of `size_of` over all items.
        """

    @abstractmethod
    def close(self) -> None:
        """Release processes and connections."""

    def from_arrow(self, name: str, rows: pa.Table) -> ir.Table:
        """An Arrow table of this process as a table of the engine. A name can be used once."""
        path = self.work / f"{name}.parquet"
        pq.write_table(rows, path)
        return self.read([path])


def parse_memory(text: str) -> int:
    """`4GB`, `4g`, `500 MiB` -> mebibytes. Raises OpenAlignError for any other form, and below 128 MiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mgt])(?:i?b)?", text.strip().lower())
    if match is None:
        raise UsageError(f"{option(memory=text)}: give a number and a unit, such as 4GB or 500MB")
    size = int(float(match[1]) * {"m": 1, "g": 1 << 10, "t": 1 << 20}[match[2]])
    if size < 128:
        raise UsageError(f"{option(memory=text)}: at least 128MB are needed to sort a table")
    return size


def rows_per_partition(count: int, least: int, most: int) -> int:
    """Rows of one partition of a table with `count` rows: between `least` and `most`, for about 2,048 partitions."""
    return max(least, min(most, ceil(count / _PARTITIONS)))
