"""Brings the rows of a collection up to date with images and their vectors, batch by batch.

An image is known by its digest and keeps its number. Its row holds all names that it has in the sources, in their
order; they may come in different batches. So a row is written whenever its names of this run are not a beginning of
those that it has, and what is only a beginning waits for the end.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openalign.embedding.columns import Embedded
from openalign.search.milvus.client import VECTOR, Collection
from openalign.search.milvus.columns import (
    ROW_COLUMNS,
    Image,
    entity_of,
    facts_of,
    fitting,
    image_of,
    thumbnail_text,
)
from openalign.search.milvus.state import Lease
from openalign.search.milvus.store import NUMBERED, blocks_of_numbers
from openalign.search.store.changes import Listed

Given = tuple[Listed, Embedded, NDArray[np.float16]]
"""An image as its source lists it, its columns, and its vector (D,)."""
_DELETED_AT_ONCE = 1024


class _Known(NamedTuple):
    number: int
    names: tuple[Listed, ...]


class RowsWriter:
    """Writes rows; what it holds in memory is a bit a row, and the images of which some names have not come yet."""

    def __init__(self, collection: Collection, lease: Lease, rows: int) -> None:
        self._collection = collection
        self._lease = lease
        self.rows = rows
        """The number of the next new row."""
        self.cut: set[int] = set()
        """Rows that could not hold all that belongs to them."""
        self._seen = np.zeros(rows + NUMBERED, np.bool_)
        self._waiting: dict[int, tuple[Listed, ...]] = {}

    @property
    def seen(self) -> int:
        """The number of images that came in this run."""
        return int(np.count_nonzero(self._seen))

    def take(self, batch: Sequence[Given]) -> None:
        """The next images, of which those with equal bytes are one row."""
        grouped: dict[bytes, list[Given]] = {}
        for given in batch:
            grouped.setdefault(given[1].digest, []).append(given)
        known = self._known(list(grouped))
        written = [self._entity(digest, given, known.get(digest)) for digest, given in grouped.items()]
        if changed := [entity for entity in written if entity is not None]:
            self._collection.upsert(changed)

    def finish(self) -> int:
        """Take away the names that no source has any more, and the images without any; returns how many these are.

        Raises:
            OpenAlignError: another run took over.
        """
        for number, names in self._waiting.items():
            self._lease.beat()
            self._shorten(number, names)
        if self._collection.count() == self.seen:
            return 0
        removed = 0
        for block in blocks_of_numbers(self._collection, self.rows):
            gone = [number for number in block if not self._seen[number]]
            self._lease.beat()
            for start in range(0, len(gone), _DELETED_AT_ONCE):
                self._lease.beat()
                self._collection.delete(gone[start : start + _DELETED_AT_ONCE])
            removed += len(gone)
        return removed

    def _known(self, digests: Sequence[bytes]) -> dict[bytes, _Known]:
        listed = ", ".join(f'"{digest.hex()}"' for digest in digests)
        found = self._collection.query(f"digest in [{listed}]", ROW_COLUMNS, fresh=True)
        images = [(int(entity["row"]), image_of(entity)) for entity in found]
        return {image.digest: _Known(number, image.names) for number, image in images}

    def _entity(self, digest: bytes, given: Sequence[Given], known: _Known | None) -> dict[str, Any] | None:
        """The row to write for an image; None if it is as it should be, for now."""
        names = tuple(listed for listed, _, _ in given)
        _, row, vector_D = given[0]
        number = self.rows if known is None else known.number
        if known is not None and self._seen[number]:
            names = self._waiting.pop(number, known.names) + names
        image, is_cut = fitting(Image(digest, facts_of(row), names))
        self._note(number, is_cut)
        if known is not None and known.names[: len(image.names)] == image.names:
            if len(image.names) < len(known.names):
                self._waiting[number] = image.names
            return None
        self.rows = max(self.rows, number + 1)
        return entity_of(number, image, vector_D, thumbnail_text(row.thumbnail))

    def _note(self, number: int, is_cut: bool) -> None:
        if number >= len(self._seen):
            self._seen = np.concatenate([self._seen, np.zeros(max(len(self._seen), NUMBERED), np.bool_)])
        self._seen[number] = True
        if is_cut:
            self.cut.add(number)

    def _shorten(self, number: int, names: tuple[Listed, ...]) -> None:
        found = self._collection.query(f"row in [{number}]", [*ROW_COLUMNS, VECTOR, "thumbnail"], fresh=True)
        for entity in found:
            image = image_of(entity)
            shorter = Image(image.digest, image.facts, names)
            self._collection.upsert([entity_of(number, shorter, entity[VECTOR], entity["thumbnail"])])
