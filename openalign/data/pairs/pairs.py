"""Pairs of image and text in a fixed order, whatever they were read from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.pairs.reading import Reading
from openalign.data.shards.reader import ShardImages
from openalign.errors import OpenAlignError


class ImageStore(Protocol):
    """The encoded bytes of the images, by row."""

    def image_bytes(self, row: int) -> bytes: ...

    def select(self, rows: NDArray[np.int64]) -> "ImageStore": ...

    def location(self, row: int) -> str:
        """Where the bytes are, as `ImageLocation.write` of curation says it; "" if they are in no place of their own.

        `file://PATH`, `at://URL`, `tar://FILE#OFFSET+SIZE+DIGEST` (the digest may be missing; FILE may be any file that
        holds the bytes as they are) or `parquet://FILE#COLUMN+GROUP+ROW`; paths are absolute.
        """
        ...

    def identity(self) -> bytes:
        """Bytes that change when a stored image does, found from file sizes and times without reading the images."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Images and their texts; picklable, so that loader workers can hold it.

    `table` has the columns `image` (path or URL as found) and `text` (null if there is none), then the other columns of
    the source; class folders add `label`. `problems` has a message for each thing that was left out on opening.
    """

    name: str
    table: pa.Table
    images: ImageStore
    source_rows: NDArray[np.int64]
    """(N,) row of each pair in its source, from 0."""
    problems: tuple[str, ...] = field(default=())
    image_key: str = "image"
    """The column in which equal values mean the same image; rows without a value are compared by source row, and so are
    all if it is ""."""
    files: tuple[tuple[str, int], ...] = ()
    """The names of the files that the rows come from, if several, and the source row that each begins with."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What was taken for `image`, `text` and `label`: the name of a column or field, or words (`the folder's name`)."""
    reading: Reading | None = None
    """How the data were recognised."""

    @classmethod
    def of(
        cls,
        name: str,
        table: pa.Table,
        images: ImageStore,
        problems: Sequence[str] = (),
        source_rows: NDArray[np.int64] | None = None,
    ) -> "Pairs":
        """Pairs that are the rows of `table`, one to one; they come from `source_rows`, (N,), by default the same."""
        rows = np.arange(len(table)) if source_rows is None else source_rows
        return cls(name, table.combine_chunks(), images, rows, tuple(problems))

    @property
    def read_as(self) -> str:
        """How the data were read, in a line: `WebDataset shards, split train, 40 rows (image: jpg, text: txt)`."""
        return self.reading.sentence(len(self), self.columns) if self.reading else f"{len(self):,} rows"

    def __len__(self) -> int:
        return len(self.table)

    def texts(self, rows: NDArray[np.int64] | None = None) -> list[str]:
        """The text of every pair, or of those in `rows`; "" if there is none."""
        chosen = self.table["text"] if rows is None else self.table["text"].take(pa.array(rows))
        texts: list[str] = pc.fill_null(chosen, "").to_pylist()
        return texts

    def image_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B,) integers that are equal if the images are, compared by checksum, else path or URL, else source row.

        The same in every process and every run.
        """
        if not self.image_key:
            return ids_of([f"row {row}" for row in self.source_rows[rows]])
        found: list[str | None] = self.table[self.image_key].take(pa.array(rows)).to_pylist()
        return ids_of([key or f"row {self.source_rows[row]}" for key, row in zip(found, rows, strict=True)])

    def image_bytes(self, row: int) -> bytes:
        """The stored bytes of the image. Raises `OpenAlignError` naming the row if they cannot be read."""
        try:
            return self.images.image_bytes(row)
        except OpenAlignError as error:
            raise OpenAlignError(f"{self.row_name(row)}: {error}") from None

    def one_per_image(self) -> tuple["Pairs", list[list[str]]]:
        """The first row of each image (see `image_ids`), in order, and the texts of all of its rows, each once."""
        if self._is_one_per_image():
            none: list[str] = []  # a hundred thousand lists would be looked through by the garbage collector
            return self, [[text] if text else none for text in self.table["text"].to_pylist()]
        _, firsts, image_of_row = np.unique(
            self.image_ids(np.arange(len(self))), return_index=True, return_inverse=True
        )
        order = np.argsort(firsts)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        texts: list[dict[str, None]] = [{} for _ in order]
        for image, text in zip(place[image_of_row].tolist(), self.texts(), strict=True):
            if text:
                texts[image][text] = None
        pairs = self if len(firsts) == len(self) else self.select(firsts[order])
        return pairs, [list(each) for each in texts]

    def _is_one_per_image(self) -> bool:
        """Whether each row has an image of its own, at a quick look."""
        if not self.image_key or not len(self):
            return False
        keys = self.table[self.image_key]
        is_filled_everywhere = keys.null_count == 0 and pc.min(pc.binary_length(keys)).as_py() > 0
        return bool(is_filled_everywhere and pc.count_distinct(keys).as_py() == len(self))

    def checked_every(self, rows: int) -> "Pairs":
        """The same pairs, with only one image in `rows` compared with its digest (if it has one) when it is read."""
        return replace(self, images=self.images.checked_every(rows)) if isinstance(self.images, ShardImages) else self

    def fingerprint(self) -> str:
        """Changes when an image changes or the images change order."""
        hashed = hashlib.blake2b(self.images.identity(), digest_size=16)
        hashed.update(repr(self.table["image"].to_pylist()).encode())
        return hashed.hexdigest()

    def row_name(self, row: int) -> str:
        """The name of a pair in a message: `photos.csv row 12 (x.jpg)`, rows counted from 1 without the header."""
        source_row = int(self.source_rows[row])
        name, first = next((each for each in reversed(self.files) if each[1] <= source_row), (self.name, 0))
        return f"{name} row {source_row - first + 1} ({self.table['image'][row].as_py()})"

    def image_name(self, row: int) -> str:
        """The name of an image in a message: the same for all rows of one image, where that is known."""
        return str(self.table["image"][row].as_py()) if self.image_key else self.row_name(row)

    def select(self, rows: Sequence[int] | NDArray[np.int64]) -> "Pairs":
        """The pairs of these rows, in this order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            table=self.table.take(pa.array(chosen)),
            images=self.images.select(chosen),
            source_rows=self.source_rows[chosen],
        )

    def where(self, values: Mapping[str, str]) -> "Pairs":
        """The pairs whose columns hold these values, compared as strings.

        Raises `OpenAlignError` if a column does not exist or holds lists, or no pair is left.
        """
        pairs = self
        for column, value in values.items():
            pairs = pairs._where(column, value)
        return pairs

    def _where(self, column: str, value: str) -> "Pairs":
        if column not in self.table.column_names:
            known = ", ".join(self.table.column_names)
            raise OpenAlignError(f"{self.name} has no column `{column}` to choose rows by; it has: {known}.")
        cells = self.table[column]
        if pa.types.is_nested(cells.type):
            raise OpenAlignError(f"{self.name}: rows cannot be chosen by `{column}`, which holds lists.")
        rows = np.flatnonzero(pc.fill_null(pc.equal(pc.cast(cells, pa.string()), value), False).to_numpy())
        if not len(rows):
            raise OpenAlignError(f"{self.name} has no row with {column}={value}.")
        return self.select(rows)


_NO_WIDTH = r"^[\s\x{00A0}\x{200B}-\x{200F}\x{2060}\x{FEFF}\x{00AD}]+$"
"""A text of blanks, zero-width characters, marks of direction and soft hyphens alone."""
_LONGEST_BLANK = 16
"""Bytes up to which a text is compared with that."""


def is_filled(texts: pa.ChunkedArray) -> NDArray[np.bool_]:
    """(N,) whether each text is there and holds more than whitespace and characters that have no width."""
    lengths = pc.binary_length(texts)
    blank = pc.or_(pc.utf8_is_space(texts), pc.equal(lengths, 0))
    filled: NDArray[np.bool_] = ~pc.fill_null(blank, True).to_numpy()
    rows = np.flatnonzero(pc.fill_null(pc.less(lengths, _LONGEST_BLANK), False).to_numpy())
    if len(rows):
        short = texts.take(pa.array(rows))
        rows = rows[~pc.string_is_ascii(short).to_numpy()]
    if len(rows):
        filled[rows] &= ~pc.match_substring_regex(texts.take(pa.array(rows)), _NO_WIDTH).to_numpy()
    return filled


def ids_of(keys: Sequence[str]) -> NDArray[np.int64]:
    """(N,) 64-bit hashes of strings; equal for equal strings in every process."""
    digests = b"".join([hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys])
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
