"""For each image of an index, the closest near-duplicate among the images before it.

A 64-bit perceptual hash and 8 x 8 grey levels of the thumbnail, kept in the index, find candidates; what confirms them
are the aligned thumbnails and their colours, with the thresholds of curation (`openalign.curation.duplicates`). So an
image that is added is compared with all hashes and with few thumbnails, and no original is read.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openalign.curation.duplicates.search import aligned_correlations, colours_agree
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.images.fingerprint import SIDE, perceptual_hash, thumbnails
from openalign.data.images.decode import decode
from openalign.data.images.header import ImageError
from openalign.search.store.changes import Sketch

MOST_CANDIDATES = 4
"""Earlier images, the most similar in their grey levels, that an image is aligned with: that takes 0.3 ms each, and of
50,000 photos a dozen and more hash like an image by chance."""
_LEAST_GREY = 0.85
"""Correlation of the grey levels of near-duplicates: of 452 changed copies (`bench/fold.py`) all but 4 reach it, and of
899 strangers whose hashes and colours agree, half do not."""
_GREY_SIDE = 8
_PAIRS_OF_GREY = 1 << 16
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


def sketch_of(thumbnail: bytes) -> Sketch | None:
    """What finds candidates; None if the thumbnail shows nothing, or cannot be read."""
    try:
        grey, _ = thumbnails(decode(thumbnail, _MIN_SIDE))
    except ImageError:
        return None
    if grey.std() <= _FLAT:
        return None
    part = SIDE // _GREY_SIDE
    small = grey.reshape(_GREY_SIDE, part, _GREY_SIDE, part).mean((1, 3)).round().astype(np.uint8)
    return Sketch(int(perceptual_hash(grey).view(np.int64)), small.tobytes())


def closest_before(
    ids_N: Ids, hashes_N: Ids, first: int, grey_of: Callable[[int], bytes], thumbnail_of: Callable[[int], bytes]
) -> Iterator[tuple[int, int]]:
    """(image, closest near-duplicate before it) for the images from place `first` on that have one, in order.

    `ids_N` are sorted; `grey_of` and `thumbnail_of` give what is kept of an id.
    """
    settings = DuplicateSettings()
    greys, fingerprints = _Greys(ids_N, grey_of), _Fingerprints(thumbnail_of)
    for images, earlier in _hashed_alike(hashes_N.view(np.uint64), first, settings.duplicate_hash_bits):
        images, earlier = _most_alike(images, earlier, greys.correlations(images, earlier))
        best: dict[int, tuple[float, int]] = {}
        for start in range(0, len(images), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            one, other = fingerprints.of(ids_N[images[some]]), fingerprints.of(ids_N[earlier[some]])
            for at, correlation in _confirmed(one, other, settings):
                image, before = int(images[start + at]), int(earlier[start + at])
                if image not in best or correlation > best[image][0]:
                    best[image] = correlation, before
        yield from ((int(ids_N[image]), int(ids_N[best[image][1]])) for image in sorted(best))


def _hashed_alike(hashes_N: NDArray[np.uint64], first: int, bits: int) -> Iterator[tuple[Ids, Ids]]:
    """Pairs (image, earlier image) by their places, those of one image all in one piece."""
    step = max(1, _HASHES_AT_ONCE // max(1, len(hashes_N)))
    for start in range(first, len(hashes_N), step):
        stop = min(start + step, len(hashes_N))
        images, earlier = np.nonzero(np.bitwise_count(hashes_N[start:stop, None] ^ hashes_N[None, :stop]) <= bits)
        before = earlier < images + start
        yield images[before] + start, earlier[before]


def _most_alike(images: Ids, earlier: Ids, correlations: NDArray[np.float32]) -> tuple[Ids, Ids]:
    """Of the candidates of each image the most similar ones, equal ones in the order of images."""
    enough = correlations >= _LEAST_GREY
    images, earlier, correlations = images[enough], earlier[enough], correlations[enough]
    order = np.lexsort((earlier, -correlations, images))
    images, earlier = images[order], earlier[order]
    place = np.arange(len(images)) - np.searchsorted(images, images)
    return images[place < MOST_CANDIDATES], earlier[place < MOST_CANDIDATES]


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


class _Greys:
    """The grey levels of images, read when they are first compared."""

    def __init__(self, ids_N: Ids, grey_of: Callable[[int], bytes]) -> None:
        self._ids_N, self._grey_of = ids_N, grey_of
        self._known_N = np.zeros(len(ids_N), bool)
        self._levels_NP = np.zeros((len(ids_N), _GREY_SIDE**2), np.uint8)

    def correlations(self, ones: Ids, others: Ids) -> NDArray[np.float32]:
        """Of pairs of images, by their places."""
        found = [np.empty(0, np.float32)]
        for start in range(0, len(ones), _PAIRS_OF_GREY):
            one, other = (self._centred(some[start : start + _PAIRS_OF_GREY]) for some in (ones, others))
            found.append((one * other).sum(1))
        return np.concatenate(found)

    def _centred(self, places: Ids) -> NDArray[np.float32]:
        for place in np.unique(places[~self._known_N[places]]).tolist():
            self._levels_NP[place] = np.frombuffer(self._grey_of(int(self._ids_N[place])), np.uint8)
            self._known_N[place] = True
        levels = self._levels_NP[places].astype(np.float32)
        levels -= levels.mean(1, keepdims=True)
        centred: NDArray[np.float32] = levels / np.linalg.norm(levels, axis=1, keepdims=True).clip(1)
        return centred


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
