"""Read the images that are new or changed in threads, look them up, and preprocess the new ones for the model."""

from collections import Counter, deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from openalign.data.images.decode import decode, encode_jpeg, shrink
from openalign.data.images.frames import frames_in
from openalign.data.images.photo import photo_facts
from openalign.data.left_out import Kind, LeftOut
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, Pixels
from openalign.search.derived.grouping import sketch_of
from openalign.search.listing import SourceListing
from openalign.search.rows import digest_of
from openalign.search.store.changes import Facts, Listed, Sketch

THUMBNAIL_SIDE = 256
"""Longest shorter side of a thumbnail, in pixels."""
THUMBNAIL_QUALITY = 82
BATCH = 64
_THREADS = 4


class Known(Protocol):
    """What the index has."""

    def has_all(self, listed: Sequence[Listed]) -> bool:
        """Whether these names of one source, in their order, are there as they are, and no others between them."""

    def find(self, listed: Sequence[Listed]) -> dict[tuple[str, int], tuple[Listed, int]]:
        """What there is under these names (name, copy) of one source, and the ids of the images."""

    def known(self, digest: bytes) -> int | None:
        """The id of the image with these bytes; safe to use from many threads."""


@dataclass(frozen=True)
class Unchanged:
    """Images of a source that the index has as they are, which were not read."""

    source: int
    count: int


@dataclass(frozen=True)
class Renamed:
    """An image that the index has, with a name or text that it does not have."""

    listed: Listed
    image: int
    """Its id."""


@dataclass(frozen=True)
class Prepared:
    """An image whose bytes the index did not have when they were read."""

    listed: Listed
    where: str
    """Its name in messages."""
    digest: bytes
    facts: Facts
    thumbnail: bytes
    sketch: Sketch | None
    pixels: Pixels
    frames: int = 1
    """Pages or frames in it, of which the first is shown."""


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be read, with the message that says why."""

    listed: Listed
    problem: LeftOut


Item = Unchanged | Renamed | Prepared | Unreadable


def prepared_images(sources: Sequence[SourceListing], model: DualEncoder, known: Known) -> Generator[Item, None, None]:
    """The images of the sources; those with an unchanged stamp are not read and not in order."""
    waiting: deque[Future[Item] | Item] = deque()
    same: Counter[int] = Counter()
    threads = ThreadPoolExecutor(_THREADS)
    try:
        for source in sources:
            for first, some in source.images():
                if all(each.stamp for each in some) and known.has_all(some):
                    yield Unchanged(source.number, len(some))
                    continue
                before = known.find(some)
                for row, listed in enumerate(some, first):
                    found = before.get((listed.name, listed.copy))
                    if found is None or not listed.stamp or found[0].stamp != listed.stamp:
                        waiting.append(threads.submit(_prepare, source, row, listed, model, known))
                    elif found[0] != listed:
                        waiting.append(Renamed(listed, found[1]))
                    else:
                        same[source.number] += 1
                    while len(waiting) > 2 * BATCH:
                        yield _result(waiting.popleft())
                yield Unchanged(source.number, same.pop(source.number, 0))
        while waiting:
            yield _result(waiting.popleft())
    finally:
        threads.shutdown(cancel_futures=True)


def _result(item: Future[Item] | Item) -> Item:
    return item.result() if isinstance(item, Future) else item


def _prepare(source: SourceListing, row: int, listed: Listed, model: DualEncoder, known: Known) -> Item:
    """Read one image."""
    where = source.pairs.row_name(row)
    try:
        data = source.pairs.image_bytes(row)
        digest = digest_of(data)
        if (image := known.known(digest)) is not None:
            return Renamed(listed, image)
        pixels = decode(data)
        photo = photo_facts(data)
        taken = (photo.date, photo.latitude, photo.longitude)
        facts = Facts(pixels.shape[1], pixels.shape[0], len(data), *taken)
        thumbnail = encode_jpeg(shrink(pixels, THUMBNAIL_SIDE), THUMBNAIL_QUALITY)
        sketch, frames = sketch_of(thumbnail), frames_in(data)
        return Prepared(listed, where, digest, facts, thumbnail, sketch, model.prepare(pixels), frames)
    except OpenAlignError as error:
        message = str(error)
        return Unreadable(listed, LeftOut(Kind.IMAGE_NOT_READ, message if where in message else f"{where}: {message}"))
