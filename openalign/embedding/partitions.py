"""Cuts sources into partitions, and names each by a hash of everything that its vectors and columns depend on.

The cuts follow the names of the images, not their numbers: an image that is added or removed changes its own partition,
and those after it stay as they are. A partition is small to send to another process: of its source it has its own rows.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from openalign.data.pairs.pairs import Pairs
from openalign.embedding.manifest import VERSION, Partition
from openalign.embedding.names import OWN_COLUMNS, further_columns

_LEAST, _MOST = 64, 1 << 14
_PARTITIONS = 512
_LONGEST = 4
"""A partition has at most so many times the rows that it has on average."""


@dataclass(frozen=True)
class Making:
    """What the content of a partition depends on, besides its images; small, and sent with each of them."""

    model: str
    fingerprint: str
    thumbnails: bool
    texts: bool


@dataclass(frozen=True)
class Planned:
    """Consecutive images of a source, which make one Parquet file."""

    pairs: Pairs
    source: int
    name: str
    """The file's name without its suffix."""
    done: Partition | None = None
    """The file, if an earlier run wrote it."""

    def __len__(self) -> int:
        return len(self.pairs)


def plan(sources: Sequence[Pairs], rows: int, making: Making) -> list[Planned]:
    """The partitions of all sources, in order, of `rows` images on average."""
    planned: list[Planned] = []
    repeated: Counter[str] = Counter()
    for number, pairs in enumerate(sources):
        for part in cut(pairs, rows):
            digest = _digest(part, [VERSION, making.fingerprint, making.thumbnails, making.texts, number])
            repeated[digest] += 1
            if repeated[digest] > 1:  # rows that cannot be told apart
                digest = hashlib.sha256(f"{digest} {repeated[digest]}".encode()).hexdigest()
            planned.append(Planned(part, number, f"part-{digest[:24]}"))
    return planned


def cut(pairs: Pairs, rows: int) -> Iterator[Pairs]:
    """Consecutive rows of a source, `rows` on average, cut before images whose hash divides by `rows`."""
    ids_N = pairs.image_ids(np.arange(len(pairs)))
    starts = [0, *(np.flatnonzero(ids_N[1:] % rows == 0) + 1).tolist(), len(pairs)]
    for start, end in pairwise(starts):
        for first in range(start, end, _LONGEST * rows):
            yield _part(pairs, first, min(first + _LONGEST * rows, end))


def rows_of_partitions(images: int) -> int:
    """Rows of a partition on average: a power of two between 64 and 16,384, for 512 to 1,024 partitions if it can be.

    With twice the images every second cut goes and the others stay.
    """
    return max(_LEAST, min(_MOST, 1 << int(math.log2(max(images, 1) / _PARTITIONS)) if images > _PARTITIONS else 1))


def _part(pairs: Pairs, start: int, end: int) -> Pairs:
    """These rows, without what only the whole source needs."""
    part = pairs.select(np.arange(start, end))
    kept = {*OWN_COLUMNS, *further_columns(part.table), pairs.image_key}
    names = [name for name in part.table.column_names if name in kept]
    first, last = int(part.source_rows.min()), int(part.source_rows.max())
    later = [at for at, (_, begin) in enumerate(pairs.files) if begin > first]
    begin_at = max(0, (later[0] if later else len(pairs.files)) - 1)
    files = tuple(each for each in pairs.files[begin_at:] if each[1] <= last)
    table = part.table.select(names).combine_chunks()
    return replace(part, table=table, problems=(), files=files, columns={}, reading=None)


def _digest(part: Pairs, given: Sequence[object]) -> str:
    content = [*given, part.fingerprint(), part.table.drop_columns(["image"]).to_pylist()]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
