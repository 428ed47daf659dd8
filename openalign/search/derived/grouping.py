"""For each image of an index, the closest near-duplicate among the images before it.

A 64-bit perceptual hash of the thumbnail, kept in the index, finds candidates; what confirms them are the aligned
thumbnails and their colours, with the thresholds of curation (`openalign.curation.duplicates`). So an image that is
added is compared with all hashes and with few thumbnails, and no original is read.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openalign.curation.duplicates.search import aligned_correlations, colours_agree
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.images.fingerprint import perceptual_hash, thumbnails
from openalign.data.images.decode import decode
from openalign.data.images.header import ImageError

MOST_CANDIDATES = 32
"""Earlier images, those with the nearest hashes, that an image is compared with: among thousands of drawings or
scanned pages that hash alike, the time stays in proportion to their number."""
_MIN_SIDE = 128
"""Pixels to which a thumbnail is decoded."""
_FLAT = 4.0
"""Standard deviation in grey levels up to which an image has nothing to compare it by."""
_HASHES_AT_ONCE = 1 << 23
"""Pairs."""
_PAIRS_AT_ONCE = 512
_KEPT = 20_000
"""Fingerprints that are kept in memory, of 1.2 kB each."""

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Fingerprint:
    """Of one thumbnail: grey (32, 32) and colour (8, 8, 2)."""

    grey: NDArray[np.uint8]
    colour: NDArray[np.int8]


def hash_of(thumbnail: bytes) -> int | None:
    """The perceptual hash of a thumbnail as a signed 64-bit integer; None if it shows nothing, or cannot be read."""
    try:
        grey, _ = thumbnails(decode(thumbnail, _MIN_SIDE))
    except ImageError:
        return None
    return None if grey.std() <= _FLAT else int(perceptual_hash(grey).view(np.int64))


def closest_before(
    ids_N: Ids, hashes_N: NDArray[np.int64], first: int, thumbnail_of: Callable[[int], bytes]
) -> Iterator[tuple[int, int]]:
    """(image, closest near-duplicate before it) for the images from place `first` on that have one, in order.

    `ids_N` are sorted; `thumbnail_of` gives the JPEG of an id.
    """
    settings = DuplicateSettings()
    fingerprints = _Fingerprints(thumbnail_of)
    for images, earlier in _candidates(hashes_N.view(np.uint64), first, settings.duplicate_hash_bits):
        best: dict[int, tuple[float, int]] = {}
        for start in range(0, len(images), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            one, other = fingerprints.of(ids_N[images[some]]), fingerprints.of(ids_N[earlier[some]])
            for at, correlation in _confirmed(one, other, settings):
                image, before = int(images[start + at]), int(earlier[start + at])
                if image not in best or correlation > best[image][0]:
                    best[image] = correlation, before
        yield from ((int(ids_N[image]), int(ids_N[best[image][1]])) for image in sorted(best))


def _candidates(hashes_N: NDArray[np.uint64], first: int, bits: int) -> Iterator[tuple[Ids, Ids]]:
    """Pairs (image, earlier image) that hash alike, those of one image all in one piece, nearest first."""
    step = max(1, _HASHES_AT_ONCE // max(1, len(hashes_N)))
    for start in range(first, len(hashes_N), step):
        stop = min(start + step, len(hashes_N))
        distance = np.bitwise_count(hashes_N[start:stop, None] ^ hashes_N[None, :stop])
        images, earlier = np.nonzero(distance <= bits)
        near = distance[images, earlier]
        before = earlier < images + start
        images, earlier, near = images[before] + start, earlier[before], near[before]
        order = np.lexsort((earlier, near, images))
        images, earlier = images[order], earlier[order]
        place = np.arange(len(images)) - np.searchsorted(images, images)
        yield images[place < MOST_CANDIDATES], earlier[place < MOST_CANDIDATES]


def _confirmed(
    one: Sequence[Fingerprint], other: Sequence[Fingerprint], settings: DuplicateSettings
) -> Iterator[tuple[int, float]]:
    """The pairs, by their place, that are near-duplicates, and their correlation."""
    colours, other_colours = (np.stack([each.colour for each in some]) for some in (one, other))
    agree = colours_agree(colours, other_colours, settings.duplicate_colour)
    places = np.flatnonzero(agree)
    if not len(places):
        return
    greys, other_greys = (np.stack([some[place].grey for place in places.tolist()]) for some in (one, other))
    overall, details = aligned_correlations(other_greys, greys)
    enough = (overall >= settings.duplicate_correlation) & (details >= settings.duplicate_detail)
    yield from zip(places[enough].tolist(), overall[enough].tolist(), strict=True)


class _Fingerprints:
    """The fingerprints of thumbnails; those used last are kept."""

    def __init__(self, thumbnail_of: Callable[[int], bytes]) -> None:
        self._thumbnail_of = thumbnail_of
        self._kept: OrderedDict[int, Fingerprint] = OrderedDict()

    def of(self, ids: Ids) -> list[Fingerprint]:
        return [self._one(int(each)) for each in ids]

    def _one(self, id_: int) -> Fingerprint:
        if id_ not in self._kept:
            self._kept[id_] = Fingerprint(*thumbnails(decode(self._thumbnail_of(id_), _MIN_SIDE)))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(id_)
        return self._kept[id_]
