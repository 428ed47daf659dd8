"""The vectors of the texts of an index, where it was built with them: the table `texts`, for a reader and a writer.

Each distinct line of the texts of images is one text. Which images have it follows from these.

Shapes: T texts, D width, P pairs of a text and an image that has it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from openalign.search.query.compose import unit
from openalign.search.store.checks import check_of
from openalign.search.store.vectors import Vectors16

_AT_ONCE = 1 << 14
"""Texts that are scored at once."""


@dataclass(frozen=True)
class Texts:
    """The texts of an opened index, in memory; safe to use from many threads."""

    texts: Sequence[str]
    vectors_TD: Vectors16
    read_rows: Callable[[], Iterable[tuple[int, str]]]
    """All images with texts: the row, and the texts, one a line."""

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def of_images(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of a text (P,) and the row of an image that has it (P,): all such pairs, in this order."""
        numbers = {text: number for number, text in enumerate(self.texts)}
        pairs = [
            (numbers[line], row)
            for row, lines in self.read_rows()
            for line in dict.fromkeys(lines.split("\n"))
            if line in numbers
        ]
        texts_P, rows_P = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
        return texts_P, rows_P

    def scores(self, query_D: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosine similarity of each text (T,) to a unit vector (D,)."""
        scored = [
            unit(self.vectors_TD[start : start + _AT_ONCE].astype(np.float32)) @ query_D
            for start in range(0, len(self.texts), _AT_ONCE)
        ]
        return np.concatenate([np.empty(0, np.float32), *scored])


def texts_of(found: Iterable[tuple[str, bytes, int]], width: int) -> tuple[list[str], Vectors16] | None:
    """The texts and vectors of rows of the table; None if a row is not as it was written."""
    texts, vectors = [], []
    for text, vector, check in found:
        if not _is_as_written(text, vector, check, width):
            return None
        texts.append(text)
        vectors.append(vector)
    vectors_TD = np.frombuffer(b"".join(vectors), np.float16).reshape(-1, width)
    return (texts, vectors_TD) if np.isfinite(vectors_TD).all() else None


def _is_as_written(text: object, vector: object, check: object, width: int) -> bool:
    return isinstance(vector, bytes) and len(vector) == 2 * width and check_of(text, vector) == check


class TextsWriter:
    """Changes the table `texts`; each call belongs to a transaction of its own."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def missing(self) -> list[str]:
        """The texts of images that have no vector, each once, in the order of images."""
        found = self._table.execute("SELECT text FROM images WHERE text IS NOT NULL ORDER BY id")
        wanted = dict.fromkeys(line for (text,) in found for line in text.split("\n") if line.strip())
        have = {text for (text,) in self._table.execute("SELECT text FROM texts")}
        return [text for text in wanted if text not in have]

    def put(self, texts: Sequence[str], vectors_TD: Vectors16) -> None:
        """Add texts with their vectors."""
        rows = [(text, vector_D.tobytes()) for text, vector_D in zip(texts, vectors_TD, strict=True)]
        sql = "INSERT OR REPLACE INTO texts (text, vector, crc) VALUES (?, ?, ?)"
        self._table.executemany(sql, [(*row, check_of(*row)) for row in rows])

    def unused(self) -> list[str]:
        """The texts that no image has any more."""
        found = self._table.execute("SELECT text FROM images WHERE text IS NOT NULL")
        used = {line for (text,) in found for line in text.split("\n")}
        return [text for (text,) in self._table.execute("SELECT text FROM texts") if text not in used]

    def remove_damaged(self, numbers: Sequence[int]) -> None:
        """Remove the texts with these numbers."""
        self._table.executemany("DELETE FROM texts WHERE number = ?", [(number,) for number in numbers])

    def damaged(self, width: int) -> list[int]:
        """The numbers of the texts that are not as they were written."""
        found = self._table.execute("SELECT number, text, vector, crc FROM texts")
        return [number for number, *row in found if not _is_as_written(row[0], row[1], row[2], width)]

    def remove(self, texts: Sequence[str]) -> None:
        """Remove texts."""
        self._table.executemany("DELETE FROM texts WHERE text = ?", [(text,) for text in texts])

    def clear(self) -> None:
        """Remove all texts."""
        self._table.execute("DELETE FROM texts")

    def count(self) -> int:
        """The number of texts."""
        return int(self._table.execute("SELECT count(*) FROM texts").fetchone()[0])

    def sample(self, count: int, width: int) -> Vectors16:
        """The vectors (N, D) of about `count` texts, at even intervals."""
        step = max(1, self.count() // count)
        found = self._table.execute(
            "SELECT vector FROM texts WHERE number % ? = 0 ORDER BY number LIMIT ?", (step, count)
        )
        return np.frombuffer(b"".join(vector for (vector,) in found), np.float16).reshape(-1, width)
