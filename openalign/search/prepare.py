"""Read the images to index in threads, look them up among known ones, and preprocess the new ones for the model."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openalign.data.images.decode import decode, encode_jpeg, shrink
from openalign.data.pairs.class_names import are_ids
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, Pixels
from openalign.search.rows import DIGEST_BYTES, Row
from openalign.search.store import Store
from openalign.search.vectors import Vectors16
from openalign.search.watched import DamagedIndex
from openalign.search.work import Embedded, Work

THUMBNAIL_SIDE = 256
"""Longest shorter side of a thumbnail, in pixels."""
THUMBNAIL_QUALITY = 82
BATCH = 64
_THREADS = 4
_UNNUMBERED = -1


@dataclass(frozen=True)
class Prepared:
    """One readable image: its row (numbered when it is written), and either pixels to embed or a known vector."""

    row: Row
    name: str
    """Its name in messages."""
    thumbnail: bytes
    pixels: Pixels | None
    vector: Vectors16 | None


@dataclass(frozen=True)
class Known:
    """Known vectors and thumbnails: of the existing index (`older`) and of an interrupted run (`work`)."""

    older: Store | None
    work: Work

    def find(self, digest: bytes) -> Embedded | None:
        """The vector and thumbnail of the image with this digest, if known."""
        with suppress(DamagedIndex):  # it was changed after it was opened, so it is not used any more
            before = self.older.row_of(digest) if self.older else None
            if self.older is not None and before is not None:
                thumbnail, vector = self.older.thumbnail(before.row), self.older.vector(before.row)
                return Embedded(digest, before.width, before.height, thumbnail, vector)
        return self.work.find(digest)


def prepared_batches(sources: Sequence[Pairs], model: DualEncoder, known: Known) -> Iterator[list[Prepared | str]]:
    """All images of the sources in order, one batch ahead; a message in place of each image that is left out."""
    pending: deque[list[Future[Prepared | str]]] = deque()
    with ThreadPoolExecutor(_THREADS) as threads:
        for number, pairs in enumerate(sources):
            for start in range(0, len(pairs), BATCH):
                rows = range(start, min(start + BATCH, len(pairs)))
                pending.append([threads.submit(_prepare, pairs, row, number, model, known) for row in rows])
                if len(pending) > 1:
                    yield [future.result() for future in pending.popleft()]
        while pending:
            yield [future.result() for future in pending.popleft()]


def digest_of(data: bytes) -> bytes:
    """The identity of an image file: BLAKE2b of its bytes."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def _prepare(pairs: Pairs, source_row: int, source: int, model: DualEncoder, known: Known) -> Prepared | str:
    """One image, or the message that says why it is left out."""
    name = pairs.row_name(source_row)
    try:
        data = pairs.image_bytes(source_row)
        digest = digest_of(data)
        before = known.find(digest)
        if before is not None:
            thumbnail, size, pixels = before.thumbnail, (before.width, before.height), None
        else:
            image = decode(data)
            size = (image.shape[1], image.shape[0])
            thumbnail = encode_jpeg(shrink(image, THUMBNAIL_SIDE), THUMBNAIL_QUALITY)
            pixels = model.prepare(image)
    except OpenAlignError as error:
        message = str(error)
        return message if name in message else f"{name}: {message}"
    text, label, page = (_cell(pairs, column, source_row) for column in ("text", "label", "page"))
    shown = text or (label if label and not are_ids([label]) else None)  # a folder "2020" says nothing of its images
    row = Row(_UNNUMBERED, _image_name(pairs, source_row), shown, page, *size, source, source_row, digest)
    return Prepared(row, name, thumbnail, pixels, before.vector if before else None)


def _image_name(pairs: Pairs, row: int) -> str:
    """A path that can be opened from the working directory if the image is a file; else its name in the source."""
    name = str(pairs.table["image"][row])
    source = Path(pairs.name)
    path = (source if source.is_dir() else source.parent) / name
    return str(path) if "://" not in name and path.is_file() else name


def _cell(pairs: Pairs, column: str, row: int) -> str | None:
    value = pairs.table[column][row].as_py() if column in pairs.table.column_names else None
    return str(value) if value else None
