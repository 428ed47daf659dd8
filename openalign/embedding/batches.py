"""The images of a partition, read and prepared in threads one batch ahead of the model, and embedded."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from openalign.data.images.decode import decode, encode_jpeg, shrink
from openalign.data.images.frames import frames_in
from openalign.data.images.photo import photo_facts
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.sidecar import digest_of
from openalign.embedding.columns import Embedded
from openalign.embedding.names import fields_of, further_columns, image_name
from openalign.embedding.partitions import Making, Planned
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, NotFinite, Pixels

BATCH = 32
_THREADS = 2
"""Images that are decoded at the same time; those of two batches are in memory as the model takes them."""
THUMBNAIL_SIDE = 256
"""Longest shorter side of a thumbnail, in pixels."""
THUMBNAIL_QUALITY = 82


@dataclass(frozen=True)
class _Prepared:
    """An image that waits for its vector."""

    name: str
    """Its name in messages."""
    row: Embedded
    pixels: Pixels
    frames: int
    """Pages or frames in it, of which the first is embedded."""


def embedded_batches(
    planned: Planned, model: DualEncoder, making: Making, frames: dict[str, int]
) -> Iterator[list[Embedded | LeftOut]]:
    """All images of a partition in order, in batches; a message in place of each image that is left out.

    `frames` gets the number of pages or frames of each image that has several, by its name in messages.
    """
    rows = range(len(planned))
    pending: deque[list[Future[_Prepared | LeftOut]]] = deque()
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            pending.append([threads.submit(_prepare, planned, row, model, making.thumbnails) for row in batch])
            if len(pending) > 1:
                yield _embedded([future.result() for future in pending.popleft()], model, making, frames)
        while pending:
            yield _embedded([future.result() for future in pending.popleft()], model, making, frames)


def _prepare(planned: Planned, row: int, model: DualEncoder, thumbnails: bool) -> _Prepared | LeftOut:
    """One image without its vector, or the message that says why it is left out."""
    pairs = planned.pairs
    name = pairs.row_name(row)
    try:
        data = pairs.image_bytes(row)
        image = decode(data)
        thumbnail = encode_jpeg(shrink(image, THUMBNAIL_SIDE), THUMBNAIL_QUALITY) if thumbnails else b""
        pixels = model.prepare(image)
    except OpenAlignError as error:
        message = str(error)
        return LeftOut(Kind.IMAGE_NOT_READ, message if name in message else f"{name}: {message}")
    height, width = image.shape[:2]
    text, page, label = (_cell(pairs, column, row) for column in ("text", "page", "label"))
    photo = photo_facts(data)
    made = Embedded(
        key=image_name(pairs.table["image"][row].as_py(), int(pairs.source_rows[row])),
        digest=digest_of(data),
        vector=None,
        text_vector=None,
        source=planned.source,
        text=text,
        page=page,
        label=label,
        width=width,
        height=height,
        bytes=len(data),
        date=photo.date,
        latitude=photo.latitude,
        longitude=photo.longitude,
        fields=fields_of(pairs.table.slice(row, 1).select(further_columns(pairs.table)))[0],
        thumbnail=thumbnail,
    )
    return _Prepared(name, made, pixels, frames_in(data))


def _cell(pairs: Pairs, column: str, row: int) -> str | None:
    value = pairs.table[column][row].as_py() if column in pairs.table.column_names else None
    return None if value is None or value == "" else str(value)


def _embedded(
    items: Sequence[_Prepared | LeftOut], model: DualEncoder, making: Making, frames: dict[str, int]
) -> list[Embedded | LeftOut]:
    """The same items with their vectors; those whose vector is not finite are left out."""
    readable = [item for item in items if isinstance(item, _Prepared)]
    frames |= {item.row.key: item.frames for item in readable if item.frames > 1}
    if not readable:
        return [item for item in items if isinstance(item, LeftOut)]
    try:
        vectors_ND = model.embed_prepared(np.stack([item.pixels for item in readable]))
    except NotFinite as error:  # of some images; the other vectors are valid
        vectors_ND = error.vectors_BD
    texts = _text_vectors([item.row.text for item in readable], model) if making.texts else [None] * len(readable)
    made = {
        id(item): replace(item.row, vector=vector_D.astype(np.float16), text_vector=text_D)
        if np.isfinite(vector_D).all()
        else LeftOut(Kind.IMAGE_NOT_READ, f"{item.name}: its vector is not finite")
        for item, vector_D, text_D in zip(readable, vectors_ND, texts, strict=True)
    }
    return [item if isinstance(item, LeftOut) else made[id(item)] for item in items]


def _text_vectors(texts: Sequence[str | None], model: DualEncoder) -> list[np.ndarray | None]:
    """float16 (D,) of the first text of each image, None where it has none."""
    firsts = [text.partition("\n")[0] if text else None for text in texts]
    given = [text for text in firsts if text]
    vectors_MD = model.embed_texts(given) if given else np.empty((0, model.width), np.float32)
    made = iter(vectors_MD.astype(np.float16))
    return [next(made) if text else None for text in firsts]
