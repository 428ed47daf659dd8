"""Where a curation runs: relations over whole tables, and a function of each of many items, on one machine or many.

`local_engine.LocalEngine` has DuckDB and a pool of processes, `spark_engine.SparkEngine` a cluster. The steps of a
curation are written once, for either, and give the same.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.errors import UsageError

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


def parse_memory(text: str) -> int:
    """`4GB`, `4g`, `500 MiB` -> mebibytes. Raises OpenAlignError for anything else, and for less than 128."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mgt])(?:i?b)?", text.strip().lower())
    if match is None:
        raise UsageError(f"--memory {text}: give a number and a unit, such as 4GB or 500MB")
    size = int(float(match[1]) * {"m": 1, "g": 1 << 10, "t": 1 << 20}[match[2]])
    if size < 128:
        raise UsageError(f"--memory {text}: nothing can be sorted in less than 128MB")
    return size


def rows_for(count: int, least: int, most: int, pieces: int = 2048) -> int:
    """Rows of one piece, when `count` rows are to be cut into up to about that many pieces."""
    return max(least, min(most, ceil(count / pieces)))
