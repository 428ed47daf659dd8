"""What one source gives, written to disk as it is read; and all parts joined into occurrences and images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.curate.addresses import host_of

_TAGS = pa.schema(
    {"place": pa.int64(), "addresses": pa.list_(pa.string())} | dict.fromkeys(("text", "page", "host"), pa.string())
)
_STORED = pa.schema({"place": pa.int64(), "image": pa.string(), "location": pa.string()})
_BUFFERED_ROWS = 8192
_PLACES_PER_PART = 1 << 40


@dataclass(frozen=True)
class PartSummary:
    """Counts of one part, and a sentence for each thing in it that could not be read."""

    pages: int
    records: int
    without_address: int
    problems: list[str] = field(default_factory=list)


class PartWriter:
    """Writes part `number` into `folder`; a context manager. Rows keep their order, parts that of their numbers."""

    def __init__(self, folder: Path, number: int) -> None:
        self.pages = 0
        self.records = 0
        self.problems: list[str] = []
        self._without_address = 0
        self._tags = _RowWriter(folder / f"{number:06d}.tags.parquet", _TAGS, number)
        self._stored = _RowWriter(folder / f"{number:06d}.stored.parquet", _STORED, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tags.close()
        self._stored.close()

    def add_tag(self, addresses: Sequence[str], text: str | None, page: str | None) -> None:
        """Add one occurrence; `addresses` are those the image may have, the likeliest first (without any: counted)."""
        if addresses:
            host = host_of(page or addresses[0])
            self._tags.add({"addresses": list(addresses), "text": text, "page": page, "host": host})
        else:
            self._without_address += 1

    def add_stored(self, image: str, location: str) -> None:
        """Add an image whose bytes `location` tells how to read."""
        self._stored.add({"image": image, "location": location})

    def summary(self) -> PartSummary:
        return PartSummary(self.pages, self.records, self._without_address, self.problems)


class _RowWriter:
    """Parquet row by row, a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema, part: int) -> None:
        self._file = pq.ParquetWriter(path, schema)
        self._schema = schema
        self._place = part * _PLACES_PER_PART
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row | {"place": self._place})
        self._place += 1
        if len(self._rows) == _BUFFERED_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def join_parts(folder: Path, occurrences: Path, images: Path) -> int:
    """Write the occurrences and the images at hand of all parts in `folder`; return how many occurrences there are.

    Without any occurrence nothing is written. Of the addresses of a tag the first whose bytes are at hand stands for
    the image, else the first: a crawler may have stored the plain `src` where a browser would load the largest of
    `srcset`. An address stored twice keeps its first place. DuckDB sorts and joins out of core, so nothing here grows
    with the crawl but files.
    """
    with duckdb.connect(config={"temp_directory": str(folder)}) as database:
        database.read_parquet(str(folder / "*.tags.parquet")).create_view("tag")
        database.read_parquet(str(folder / "*.stored.parquet")).create_view("every_stored")
        database.execute(
            "CREATE TABLE stored AS SELECT image, arg_min(location, place) AS location, min(place) AS place "
            "FROM every_stored GROUP BY image"
        )
        database.execute(
            """
            CREATE TABLE occurrence AS
            WITH candidate AS (
                SELECT place, unnest(addresses) AS image, generate_subscripts(addresses, 1) AS position FROM tag
            ), at_hand AS (
                SELECT place, arg_min(image, position) AS image
                FROM candidate SEMI JOIN stored USING (image) GROUP BY place
            )
            SELECT place, coalesce(at_hand.image, addresses[1]) AS image, text, page, host
            FROM tag LEFT JOIN at_hand USING (place)
            """
        )
        [(count,)] = database.sql("SELECT count(*) FROM occurrence").fetchall()
        if not count:
            return 0
        database.sql("SELECT image, text, page, host FROM occurrence ORDER BY place").write_parquet(str(occurrences))
        database.sql(
            "SELECT image, location FROM stored SEMI JOIN occurrence USING (image) ORDER BY place"
        ).write_parquet(str(images))
    return int(count)
