"""What a search needs of a store, whether that is a folder or a database."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError, UsageError
from openalign.search.map.opened import OpenedMap
from openalign.search.rows import Row
from openalign.search.store.groups import Groups
from openalign.search.store.meta import Meta
from openalign.search.store.reader import Store
from openalign.search.store.texts import Texts


class Unavailable(OpenAlignError):
    """A store that cannot answer now, through no fault of what was asked."""


class AnyStore(Protocol):
    """Vectors, rows and thumbnails of an index, opened for reading; safe to use from many threads.

    A row has a number, by which it is asked for: 0 or more, less than `meta.rows`.
    """

    meta: Meta
    models: list[str]
    """Where the model may be."""

    @property
    def name(self) -> str:
        """What messages call the index."""

    @property
    def title(self) -> str:
        """What the search page calls it."""

    @property
    def folder(self) -> Path | None:
        """Where users' files may lie beside the index; None if it has no folder."""

    @property
    def is_current(self) -> bool:
        """Whether no run has ended since it was opened."""

    def opened_again(self) -> "AnyStore":
        """The index as it is now; raises OpenAlignError if it cannot be opened."""

    def close(self) -> None:
        """Close files and connections; the store cannot be used afterwards."""

    @property
    def groups(self) -> Groups:
        """Which images are near-duplicates of each other."""

    @property
    def texts(self) -> Texts:
        """The texts with vectors: none unless the index was built with them."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The rows of all images, sorted."""

    @property
    def vectors(self) -> NDArray[Any]:
        """The vectors of all images, unit rows (images, D), in the order of `numbers`."""

    def vector(self, number: int) -> NDArray[Any]:
        """The vector (D,) of an existing row."""

    def nearest(
        self, query_D: NDArray[np.float32], count: int, among: Any = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` rows most similar to a unit vector (D,), best first, and their cosine similarities.

        With `among`, as `matching` gives it, only those are searched; always `count` of them, where there are.
        """

    def matching(self, conditions: Sequence[str]) -> Any:
        """The rows for which all conditions hold (see `query.conditions`), in the store's own form."""

    def spread(self, count: int) -> list[int]:
        """Up to `count` rows at even intervals."""

    def holds(self, number: int) -> bool:
        """Whether there is an image in this row."""

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers, in this order; raises OpenAlignError for one that does not exist."""

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of a row."""

    def names(self, number: int) -> list[tuple[int, str, int, str | None]]:
        """Where the image of a row is: source, name there, which of several of that name, and the path of a file."""

    @property
    def map(self) -> OpenedMap | None:
        """Where the images lie on the map of the collection; None if there is no map."""

    def problems(self) -> list[str]:
        """One message for each image that was left out."""


def in_folder(store: AnyStore, what: str) -> Store:
    """The store as a folder, whose whole table can be passed over.

    Raises:
        UsageError: it is a database; `what` ("Listing all images") begins the message.
    """
    if isinstance(store, Store):
        return store
    raise UsageError(f"{what} needs an index in a folder; {store.name} is a database.")
