"""An index as a Parquet table with the places on its map: for embedding-atlas, pandas, DuckDB, `datasets`.

A row for each image: `row`, `image` (the thumbnail, a struct of `bytes` and `path` as `datasets` has it), `path`,
`text`, what else is known of it, `x`, `y`, `cluster` and `region` (the names of the smallest and of the large cluster),
and the columns of its own table.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.progress import bar, say
from openalign.search.map.opened import OpenedMap
from openalign.search.rows import Row

_AT_ONCE = 1000
_OWN: dict[str, tuple[pa.DataType, Callable[[Row], Any]]] = {
    "row": (pa.int64(), lambda row: row.row),
    "path": (pa.string(), lambda row: row.image),
    "text": (pa.string(), lambda row: row.text),
    "label": (pa.string(), lambda row: row.label),
    "page": (pa.string(), lambda row: row.page),
    "date": (pa.string(), lambda row: row.date),
    "latitude": (pa.float64(), lambda row: row.latitude),
    "longitude": (pa.float64(), lambda row: row.longitude),
    "folder": (pa.string(), lambda row: row.folder),
    "width": (pa.int64(), lambda row: row.width),
    "height": (pa.int64(), lambda row: row.height),
    "bytes": (pa.int64(), lambda row: row.bytes),
}
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_PLACES = {"x": pa.float32(), "y": pa.float32(), "cluster": pa.string(), "region": pa.string()}


class Source(Protocol):
    """The store of an index."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The rows of all images."""

    @property
    def map(self) -> OpenedMap | None:
        """The map of the images."""

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers."""

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row."""


def write_table(index: Source, to: Path) -> int:
    """Write all images of an index into the Parquet file `to`; returns their number.

    Without a map the table has no `x`, `y`, `cluster` and `region`.

    Raises:
        OpenAlignError: the name does not end in `.parquet`, or the index is damaged.
    """
    if to.suffix != ".parquet":
        raise OpenAlignError(f"{to} is no name for a table of an index: let it end in .parquet.")
    numbers, places = index.numbers, _Places(index.map)
    if missing := places.missing(len(numbers)):
        say(f"{missing:,} images are not on the map yet and have no x and y: index again to place them")
    fields = _types_of_fields(index, numbers)
    names = {name: name if name not in {*_OWN, *_PLACES, "image"} else f"fields.{name}" for name in fields}
    columns = {"image": _IMAGE, **{name: kind for name, (kind, _) in _OWN.items()}, **places.columns}
    schema = pa.schema({**columns, **{names[name]: kind for name, kind in fields.items()}})
    with whole_file(to) as partial, pq.ParquetWriter(partial, schema) as writer, bar("images", len(numbers)) as running:
        for rows in _batches(index, numbers):
            pictures = [{"bytes": index.thumbnail(row.row), "path": row.name} for row in rows]
            values: dict[str, list[Any]] = {name: [value(row) for row in rows] for name, (_, value) in _OWN.items()}
            for name, kind in fields.items():
                values[names[name]] = [_as(kind, row.columns.get(name)) for row in rows]
            values |= {"image": pictures, **places.of([row.row for row in rows])}
            writer.write_table(pa.table(values, schema=schema))
            running.advance(len(rows))
    return len(numbers)


class _Places:
    """The columns of the map."""

    def __init__(self, map_: OpenedMap | None) -> None:
        self._map = map_
        self._place = {} if map_ is None else {row: place for place, row in enumerate(map_.rows_N.tolist())}
        self.columns: dict[str, pa.DataType] = {} if map_ is None else _PLACES

    def missing(self, images: int) -> int:
        return 0 if self._map is None else images - len(self._place)

    def of(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        if self._map is None:
            return {}
        found = [self._one(self._map, self._place.get(row)) for row in rows]
        return {name: [each[at] for each in found] for at, name in enumerate(_PLACES)}

    def _one(self, map_: OpenedMap, place: int | None) -> tuple[float | None, float | None, str | None, str | None]:
        if place is None:
            return None, None, None, None
        x, y = map_.at_N2[place].tolist()
        if map_.cluster_N[place] < 0:
            return x, y, None, None
        cluster = map_.clusters[map_.cluster_N[place]]
        return x, y, cluster.name, (map_.clusters[cluster.parent] if cluster.parent >= 0 else cluster).name


def _batches(index: Source, numbers: NDArray[np.int64]) -> Iterator[list[Row]]:
    for start in range(0, len(numbers), _AT_ONCE):
        yield index.rows(numbers[start : start + _AT_ONCE].tolist())


def _types_of_fields(index: Source, numbers: NDArray[np.int64]) -> dict[str, pa.DataType]:
    """The columns of the images' own tables: numbers where all values are, else texts."""
    numeric: dict[str, bool] = {}
    for rows in _batches(index, numbers):
        for row in rows:
            for name, value in row.columns.items():
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                numeric[name] = numeric.get(name, True) and (value is None or is_number)
    return {name: pa.float64() if numeric[name] else pa.string() for name in sorted(numeric)}


def _as(kind: pa.DataType, value: Any) -> Any:
    if value is None:
        return None
    return float(value) if kind == pa.float64() else str(value)
