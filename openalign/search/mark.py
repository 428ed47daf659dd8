"""The mark where matches end: how similar an image must be to a query to count as a match, in this collection.

A cosine of 0.3 is a match for one query and chance for another, so the mark is not one number. It is calibrated on the
collection, with two null distributions of what a query reaches at best (the mean of its best `BEST` scores):

- of unrelated captions (`captions.txt`), for queries of texts: a query that is no better than they are has no match;
- of images of the collection with each other, for queries by an image.

Matches are those in the upper part of the way from a query's mean score over the collection, or that of the captions
where it is lower, to its best scores. Best scores rise with the number of images, as maxima do, by about the same for
each doubling (Fisher and Tippett 1928), so a sample is enough for the calibration of any collection.
`docs/explanation/mark.md` says what was measured.

Shapes: D width of the embeddings, N images, C captions, Q queries.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

Vectors = NDArray[np.float32]
Asked = Literal["text", "image", "both"]
"""What a query consists of: texts that are added; one image; or anything else, as images with texts, or `a - b`."""

BEST = 3
"""Best scores whose mean says how well a query is matched: one is too noisy, and few images may match."""
SAMPLE = 20_000
"""Most images for the calibration."""
_IMAGE_QUERIES = 512
_TOLD = 1.5
"""Spreads above the unrelated captions that a query of texts must reach."""
_SURE = 3.0
"""Spreads above the unrelated captions from which an image matches, however many better ones there are."""
_STRANGE = 3.0
"""Spreads below images of the collection at which an image is like none of them."""
_SHARE: dict[Asked, float] = {"text": 0.75, "image": 0.6, "both": 0.6}
"""The part of the way from the mean to the best scores that lies beyond the mark. Images have near-duplicates, whose
scores lie far above those of other matches."""
_SAME = 1e-6
_SMALLEST_SPREAD = 1e-4


@dataclass(frozen=True)
class Level:
    """What queries of one kind reach at best."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    center: float
    """The median."""
    spread: float
    """From the median down to the quantile 0.16, as a standard deviation: matches among the queries do not raise it."""


@dataclass(frozen=True)
class Mark:
    """The calibration of a collection."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    images: int
    """The number of images of which it is the calibration."""
    mean: list[float]
    """The mean vector of the images (D,); its product with a query is the query's mean score."""
    chance: float
    """The mean score over the images that the median unrelated caption has."""
    captions: Level
    neighbours: Level | None
    """Of images with each other; none for a single image."""

    def level(self, query_D: Vectors, best: Sequence[float], asked: Asked) -> float:
        """The score from which images match the query; infinite if nothing matches.

        `best` are the scores of the query over the whole collection, best first: at least `BEST`, where there are.
        Nothing matches a text that does no better than unrelated captions, or an image that is less similar to the
        collection's images than these are to each other. Of other queries it is never told, since nothing says what
        they reach at best.
        """
        if not len(best):
            return math.inf
        reached = float(np.mean(best[:BEST]))
        mean = float(query_D @ np.asarray(self.mean, np.float32))
        if asked == "text":
            mean = min(mean, self.chance)  # where much of the collection matches, so does the mean
        level = mean + _SHARE[asked] * max(reached - mean, 0.0)
        if asked == "text":
            if reached < self.captions.center + _TOLD * self.captions.spread:
                return math.inf
            level = min(level, self.captions.center + _SURE * self.captions.spread)
        if asked == "image" and self.neighbours is not None:
            if reached < self.neighbours.center - _STRANGE * self.neighbours.spread:
                return math.inf
            level = min(level, self.neighbours.center)
        return min(level, reached) - _SAME


def calibrated(
    images_ND: NDArray[np.float16] | Vectors,
    captions_CD: Vectors,
    total: int,
    queries_QD: NDArray[np.float16] | None = None,
) -> Mark | None:
    """The mark of a collection of `total` images, from the vectors of some of them.

    Of a collection of texts `queries_QD` are images: those that queries by an image are compared with.

    Vectors are unit rows; those that are not finite are left out. None if no image or no caption is left.
    """
    images_ND, captions_CD = _finite(images_ND.astype(np.float32)), _finite(captions_CD)
    images_ND = images_ND[np.random.default_rng(0).permutation(len(images_ND))]  # they lie in the order of folders
    if not len(images_ND) or not len(captions_CD):
        return None
    some_ND = images_ND[:_IMAGE_QUERIES]
    neighbours = _level(some_ND, images_ND, total, own=1) if len(images_ND) > 1 else None
    if queries_QD is not None:
        some_QD = _finite(queries_QD.astype(np.float32))[:: max(1, len(queries_QD) // _IMAGE_QUERIES)]
        neighbours = _level(some_QD, images_ND, total) if len(some_QD) else None
    mean_D = images_ND.mean(axis=0, dtype=np.float64)
    mean = [round(float(each), 6) for each in mean_D]
    chance = round(float(np.median(captions_CD @ mean_D)), 6)
    return Mark(total, mean, chance, _level(captions_CD, images_ND, total), neighbours)


def captions() -> tuple[str, ...]:
    """The unrelated captions: everyday things in plain English.

    Some of them will be in a collection, which does no harm while they are less than half.
    """
    return tuple((files("openalign.search") / "captions.txt").read_text(encoding="utf-8").splitlines())


def best_scores(queries_QD: Vectors, images_ND: Vectors, skip: int = 0) -> Vectors:
    """The mean of each query's `BEST` best scores (Q,), after the `skip` very best ones."""
    count = min(BEST + skip, len(images_ND))
    scores_QN = queries_QD @ images_ND.T
    best_Qk = -np.sort(-np.partition(scores_QN, len(images_ND) - count, axis=1)[:, len(images_ND) - count :], axis=1)
    reached: Vectors = best_Qk[:, min(skip, count - 1) :].mean(axis=1)
    return reached


def _level(queries_QD: Vectors, images_ND: Vectors, total: int, own: int = 0) -> Level:
    """What the queries reach among `total` images; `own` says how many of the images are the query itself."""
    reached_Q = best_scores(queries_QD, images_ND, own)
    center, low = (float(np.quantile(reached_Q, share)) for share in (0.5, 0.16))
    spread = max(center - low, _SMALLEST_SPREAD)
    others_ND = images_ND[len(queries_QD) :] if own else images_ND
    if total > len(images_ND) and len(others_ND) > 4 * BEST:
        parts = [np.concatenate([queries_QD, others_ND[each::4]]) if own else others_ND[each::4] for each in range(4)]
        smaller = float(np.mean([np.median(best_scores(queries_QD, part_ND, own)) for part_ND in parts]))
        doublings = math.log2(len(images_ND) / len(parts[0]))
        center += (center - smaller) / doublings * math.log2(total / len(images_ND))
    return Level(round(min(center, 1.0), 6), round(spread, 6))


def _finite(vectors_ND: Vectors) -> Vectors:
    return vectors_ND[np.isfinite(vectors_ND).all(axis=1)]
