"""The image files of an index, read again from its sources: found by source, name and digest."""

from pathlib import Path
from threading import Lock

from openalign.data.pairs.file_images import read_image_file
from openalign.embedding.sources import open_source
from openalign.errors import OpenAlignError
from openalign.search.listing import SourceListing
from openalign.search.rows import digest_of
from openalign.search.store.any_store import AnyStore


class Originals:
    """Reads the image files of an index; safe to use from many threads."""

    def __init__(self, store: AnyStore) -> None:
        self._store = store
        self._opened: dict[int, tuple[SourceListing, dict[tuple[str, int], int]]] = {}
        self._opening = Lock()

    def read(self, number: int) -> bytes:
        """The image file of a row, under any of its names.

        Raises:
            OpenAlignError: it is missing, or no longer the image that was indexed.
        """
        (row,) = self._store.rows([number])
        problems: list[OpenAlignError] = []
        for source, name, copy, path in self._store.names(number):
            try:
                data = _read_file(path) if path is not None else self._read_row(source, name, copy)
            except OpenAlignError as error:
                problems.append(error)
                continue
            if digest_of(data) == row.digest:
                return data
        raise problems[0] if problems else OpenAlignError(f"{row.image} changed after it was indexed; index it again.")

    def _read_row(self, source: int, name: str, copy: int) -> bytes:
        """The image of a name in a table or shard, which is opened once."""
        with self._opening:
            if source not in self._opened:
                meta = self._store.meta
                listing = SourceListing(source, meta.sources[source], open_source(meta.sources[source], meta.options))
                self._opened[source] = listing, {each: row for row, each in enumerate(listing.names())}
            listing, rows = self._opened[source]
        if (name, copy) not in rows:
            raise OpenAlignError(f"{name} is no longer in {listing.pairs.name}; index it again.")
        return listing.pairs.image_bytes(rows[name, copy])


def _read_file(path: str) -> bytes:
    if not Path(path).exists():
        raise OpenAlignError(f"{path} does not exist any more; index again.")
    return read_image_file(Path(path))
