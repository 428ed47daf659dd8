"""An index in Milvus, opened for reading."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.decode import decode, encode_jpeg, shrink
from openalign.embedding.columns import Vector16
from openalign.errors import OpenAlignError
from openalign.search.from_vectors import blank
from openalign.search.milvus.address import Address
from openalign.search.milvus.client import VECTOR, Collection
from openalign.search.milvus.columns import ROW_COLUMNS, image_of, row_of
from openalign.search.milvus.nearest import Nearest
from openalign.search.milvus.selection import Selection
from openalign.search.milvus.state import read_state
from openalign.search.originals import Originals
from openalign.search.prepare import THUMBNAIL_QUALITY, THUMBNAIL_SIDE
from openalign.search.rows import Row
from openalign.search.store.groups import Groups
from openalign.search.store.reader import evenly_spaced
from openalign.search.store.texts import Texts

NUMBERED = 2**14
"""Rows are counted up in blocks of so many: `Meta.rows` in the state is the first row of the last one."""
_AT_ONCE = 1024
"""Rows that are read at once with their vectors."""
_DENSE = 100_000
"""Up to so many images, the rows at even intervals are those of the images; above, removed ones are few among them."""


class MilvusStore:
    """A collection opened for reading; safe to use from many threads. See `AnyStore`.

    It is no snapshot: a search finds what was written some seconds before, and images that are removed meanwhile are
    missing. Where a row has no thumbnail, it is made from the original.

    Raises:
        OpenAlignError: there is no such collection or no server, or it is no index.
    """

    folder: Path | None = None

    def __init__(self, address: Address) -> None:
        self._collection = collection = Collection(address)
        if not collection.exists():
            raise OpenAlignError(
                f"{address.given} does not exist; make it with `openalign index VECTORS --to {address.given}`."
            )
        self.name, self.title = address.given, address.collection
        state = read_state(collection)
        collection.load()
        count = collection.count()
        rows = next_row(collection, state.rows)
        self.meta = replace(state, rows=rows, deleted=rows - count)
        self.models = [state.model]
        self._nearest = Nearest(collection, collection.index_kind())
        self._originals = Originals(self)

    @property
    def groups(self) -> Groups:
        """None: near-duplicates are not looked for in a collection."""
        return Groups()

    @property
    def texts(self) -> Texts:
        """None: a collection has vectors of images only."""
        return Texts((), np.empty((0, self.meta.width), np.float16), tuple)

    @property
    def is_current(self) -> bool:
        try:
            return read_state(self._collection).commits == self.meta.commits
        except OpenAlignError:  # the server is away, and may come back
            return True

    def opened_again(self) -> "MilvusStore":
        return MilvusStore(self._collection.address)

    def close(self) -> None:
        self._collection.close()

    @property
    def numbers(self) -> NDArray[np.int64]:
        return all_numbers(self._collection, self.meta.rows)

    @property
    def vectors(self) -> Vector16:
        """All of them, read from the server into memory."""
        read = [vectors_of(self._collection, _between(start, _AT_ONCE)) for start in range(0, self.meta.rows, _AT_ONCE)]
        return np.concatenate(read) if read else np.empty((0, self.meta.width), np.float16)

    def vector(self, number: int) -> Vector16:
        vectors_1D = vectors_of(self._collection, f"row in [{int(number)}]")
        if not len(vectors_1D):
            raise self._no_row(number)
        vector_D: Vector16 = vectors_1D[0]
        return vector_D

    def nearest(
        self, query_D: NDArray[np.float32], count: int, among: Selection | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return self._nearest.find(query_D, count, among, self.meta.rows)

    def matching(self, conditions: Sequence[str]) -> Selection:
        return Selection.of(conditions, self.meta.columns)

    def spread(self, count: int) -> list[int]:
        return spread_rows(self._collection, self.meta.rows, self.meta.images, count)

    def holds(self, number: int) -> bool:
        return 0 <= number < self.meta.rows and bool(self._collection.query(f"row in [{int(number)}]", ["row"]))

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        found: dict[int, Row] = {}
        for start in range(0, len(numbers), _AT_ONCE):
            named = ", ".join(str(int(number)) for number in numbers[start : start + _AT_ONCE])
            entities = self._collection.query(f"row in [{named}]", ROW_COLUMNS)
            found |= {int(entity["row"]): row_of(entity) for entity in entities}
        for number in numbers:
            if int(number) not in found:
                raise self._no_row(number)
        return [found[int(number)] for number in numbers]

    def thumbnail(self, number: int) -> bytes:
        stored = self._one(number, ["thumbnail", "width", "height"])
        if stored["thumbnail"]:
            return base64.b64decode(stored["thumbnail"])
        try:
            image = decode(self._originals.read(number))
        except OpenAlignError:  # it is not here: the page still shows its proportions
            return blank(int(stored["width"]), int(stored["height"]))
        return encode_jpeg(shrink(image, THUMBNAIL_SIDE), THUMBNAIL_QUALITY)

    def names(self, number: int) -> list[tuple[int, str, int, str | None]]:
        image = image_of(self._one(number, ROW_COLUMNS))
        return [(each.source, each.name, each.copy, each.path) for each in image.names]

    @property
    def map(self) -> None:
        """None: a collection has no map."""
        return None

    def problems(self) -> list[str]:
        """The number of images of each kind that were left out: the messages stay beside the vectors."""
        return [f"{number:,} {kind}" for kind, number in self.meta.lost.items()]

    def _one(self, number: int, columns: Sequence[str]) -> dict[str, Any]:
        found = self._collection.query(f"row in [{int(number)}]", columns)
        if not found:
            raise self._no_row(number)
        return found[0]

    def _no_row(self, number: int) -> OpenAlignError:
        return OpenAlignError(f"row {number} is not in {self.name}: it has rows 0 to {self.meta.rows - 1}.")


def next_row(collection: Collection, block: int) -> int:
    """The number of the next row, by those of the last block."""
    found = collection.query(_between(block, NUMBERED), ["row"], fresh=True)
    return max((int(each["row"]) + 1 for each in found), default=block)


def all_numbers(collection: Collection, rows: int) -> NDArray[np.int64]:
    """The numbers of all rows before `rows`, sorted."""
    blocks = [np.array(block, np.int64) for block in blocks_of_numbers(collection, rows)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.int64)


def blocks_of_numbers(collection: Collection, rows: int) -> Iterator[list[int]]:
    """The same, some at once."""
    for start in range(0, rows, NUMBERED):
        yield sorted(int(each["row"]) for each in collection.query(_between(start, NUMBERED), ["row"], fresh=True))


def spread_rows(collection: Collection, rows: int, images: int, count: int) -> list[int]:
    """Up to `count` rows of existing images at even intervals."""
    if images <= _DENSE:
        numbers = all_numbers(collection, rows)
        return [int(number) for number in numbers[evenly_spaced(len(numbers), count)]]
    wanted, found = evenly_spaced(rows, count), []
    for start in range(0, len(wanted), _AT_ONCE):
        some = collection.query(f"row in {wanted[start : start + _AT_ONCE]}", ["row"])
        found += sorted(int(each["row"]) for each in some)
    return found


def vectors_of(collection: Collection, expression: str) -> Vector16:
    """The vectors (N, D) of some rows, in the order of rows."""
    found = sorted(collection.query(expression, ["row", VECTOR], fresh=True), key=lambda each: int(each["row"]))
    return np.array([each[VECTOR] for each in found], np.float16)


def _between(start: int, count: int) -> str:
    return f"row >= {start} and row < {start + count}"
