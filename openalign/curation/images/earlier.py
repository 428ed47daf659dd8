"""Inspections of earlier runs, reused image by image.

A batch with other images, or with one more that is wanted, is another batch, and its result is not in the cache. Most
of its images were inspected before all the same: beside each result lies an index of the images in it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.checksums import Checksum, checksum_of

INDEX_SUFFIX = ".index"
_KEY_BYTES = _DIGEST_BYTES = 16
_MAX_IMAGES = 10_000_000  # in all indexes together, some 50 bytes each in every process; of more, none is reused


@dataclass(frozen=True)
class Inspected:
    """An image that an earlier run inspected: its row of `inspection.INSPECTED`, and the JPEG to keep."""

    row: Mapping[str, Any]
    jpeg: bytes | None


@dataclass(frozen=True)
class _Index:
    keys_N2: NDArray[np.uint64]
    """The two halves of each image's key, sorted by the first."""
    order_N: NDArray[np.int64]
    """The number of each image, counted over all results."""
    digests_N2: NDArray[np.uint64]
    """The two halves of the digest of each image's JPEG, by number."""
    starts: list[int]
    """The number of the first image of each result."""


def key_of(asked: Mapping[str, Any], state: Sequence[str], depends_on: Sequence[Any]) -> bytes:
    """Identifies all that the inspection of an image depends on.

    `asked` is its row of a batch, `state` that of the file with its bytes, `depends_on` the settings.
    """
    values = [asked["image"], asked["location"], asked["wanted"], asked["problem"], state, depends_on]
    return hashlib.sha256(json.dumps(values).encode()).digest()[:_KEY_BYTES]


def index_entry(key: bytes, jpeg: bytes | None) -> bytes:
    """What the index of a result holds of one image."""
    return key + (bytes(_DIGEST_BYTES) if jpeg is None else _digest(jpeg))


def indexed_results(folder: Path) -> tuple[str, ...]:
    """The names, without suffix, of the results in `folder` that have an index."""
    return tuple(sorted(path.stem for path in folder.glob(f"*{INDEX_SUFFIX}")))


def finder(folder: Path, results: tuple[str, ...]) -> Callable[[bytes], Inspected | None]:
    """Look up images by their keys in these results; what is damaged, or gone, is not found."""
    index = _read_index(folder, results)

    def find(key: bytes) -> Inspected | None:
        number = _number_of(index, key)
        if number is None:
            return None
        result = int(np.searchsorted(index.starts, number, side="right")) - 1
        rows = _rows_of(folder, results[result])
        at = number - index.starts[result]
        if at >= len(rows):
            return None
        row = rows[at]
        if row["stored_in"] is None:
            return Inspected(row, None)
        jpeg = _read_jpeg(folder, row)
        return Inspected(row, jpeg) if _digest(jpeg) == index.digests_N2[number].tobytes() else None

    return find


def _digest(jpeg: bytes) -> bytes:
    return hashlib.sha256(jpeg).digest()[:_DIGEST_BYTES]


@lru_cache(maxsize=1)
def _read_index(folder: Path, results: tuple[str, ...]) -> _Index:
    parts = [np.empty((0, 4), np.uint64)]
    starts, count = [], 0
    for name in results:
        starts.append(count)
        parts.append(np.frombuffer(_intact_bytes(folder, name, INDEX_SUFFIX), np.uint64).reshape(-1, 4))
        count += len(parts[-1])
        if count > _MAX_IMAGES:
            return _Index(np.empty((0, 2), np.uint64), np.empty(0, np.int64), np.empty((0, 2), np.uint64), [0])
    entries_N4 = np.concatenate(parts)
    order_N = np.argsort(entries_N4[:, 0], kind="stable")
    return _Index(entries_N4[order_N, :2], order_N, entries_N4[:, 2:], starts)


def _number_of(index: _Index, key: bytes) -> int | None:
    first, second = np.frombuffer(key, np.uint64)
    at = int(np.searchsorted(index.keys_N2[:, 0], first))
    while at < len(index.keys_N2) and index.keys_N2[at, 0] == first:
        if index.keys_N2[at, 1] == second:
            return int(index.order_N[at])
        at += 1
    return None


@lru_cache(maxsize=64)
def _rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    if not _is_intact(folder, name, ".parquet"):
        return []
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def _intact_bytes(folder: Path, name: str, suffix: str) -> bytes:
    return (folder / f"{name}{suffix}").read_bytes() if _is_intact(folder, name, suffix) else b""


def _is_intact(folder: Path, name: str, suffix: str) -> bool:
    """Whether one file of a result matches its checksum, see `cached_map.cached_result`."""
    try:
        written = json.loads((folder / f"{name}.json").read_bytes())[f"{name}{suffix}"]
        return checksum_of(folder / f"{name}{suffix}") == Checksum(**written)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _read_jpeg(folder: Path, row: Mapping[str, Any]) -> bytes:
    try:
        with (folder / row["stored_in"]).open("rb") as file:
            file.seek(row["stored_at"])
            jpeg: bytes = file.read(row["stored_size"])
            return jpeg
    except OSError:
        return b""
