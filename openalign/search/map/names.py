"""Names of clusters: words that their texts have more often than those of other images, or the captions that fit.

Shapes: N images, D width, C captions.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError

Vectors = NDArray[np.float32]

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MOST_WORDS = 40
"""Of a text that count."""
_WITH_TEXTS = 0.2
"""Least part of the images of a cluster that have texts, for a name of words."""
_OFTEN = 0.04
"""Least part of the texts of a cluster that have a word of its name."""
_DISTINCT = 1.5
"""How much more often than in all texts a word of a name is in those of the cluster."""
_BOTH = 1.25
"""Preference for two words that follow each other: they say more than one."""
_SECOND = 0.6
"""Least score of a second word, as a part of that of the first."""
_LONGEST = 40
"""Characters of a name."""
_JOINING = {
    *("a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "in", "into", "is", "it", "its", "of", "on"),
    *("or", "over", "that", "the", "this", "to", "under", "was", "with"),
}
"""English words that say nothing at the end of a name; those of other languages are left out where they are frequent
everywhere."""


def names_of(
    members: Sequence[NDArray[np.int64]],
    texts: Sequence[str | None],
    vectors_ND: Vectors,
    captions: Sequence[str],
    embed: Callable[[], Vectors],
) -> list[str]:
    """A name for each cluster, given by the places of its images in `texts` and `vectors_ND`.

    Words are taken from the texts; where few images have any, the caption is taken that fits them best compared with
    all images. `embed` gives the vectors (C, D) of `captions`; if it raises OpenAlignError, the name is a number.
    """
    terms = [set(_terms(text)) if text else set() for text in texts]
    overall = Counter(term for each in terms for term in each)
    have = sum(1 for each in terms if each)
    found: list[str] = []
    for rows in members:
        found.append(_by_words([terms[place] for place in rows if terms[place]], len(rows), overall, have, found))
    if "" in found:
        with suppress(OpenAlignError):
            means_KD = np.stack([vectors_ND[rows].mean(0) for rows in members])
            best_K = _captions_that_fit(np.nan_to_num(embed()) @ (means_KD - vectors_ND.mean(0)).T)
            words = [re.sub(r"^(an?|the) ", "", captions[best]) for best in best_K]
            found = [name or word for name, word in zip(found, words, strict=True)]
    return [name[:_LONGEST] or f"Cluster {number + 1}" for number, name in enumerate(found)]


def _captions_that_fit(scores_CK: Vectors) -> list[int]:
    """The best caption for each of K clusters, on the scale of what the caption is to all of them.

    Some captions fit everything a little better than others do.
    """
    spread_C1 = scores_CK.std(axis=1, keepdims=True)
    scaled_CK = (scores_CK - scores_CK.mean(axis=1, keepdims=True)) / (spread_C1 + spread_C1.mean() + 1e-6)
    best_K: list[int] = scaled_CK.argmax(axis=0).tolist()
    return best_K


def _by_words(terms: list[set[str]], images: int, overall: Counter[str], have: int, taken: Collection[str] = ()) -> str:
    """One term, or two that share no word; "" if there is none that is often enough and distinct.

    A name that is taken by another cluster gets the next term that makes it another one, if there is any.
    """
    if len(terms) < max(_WITH_TEXTS * images, 1):
        return ""
    counts = Counter(term for each in terms for term in each)
    strict, loose = (_best_terms(counts, len(terms), overall, have, distinct) for distinct in (_DISTINCT, 1.0))
    names = [*strict, *loose]
    return next((name for name in names if name not in taken), names[0] if names else "")


def _best_terms(counts: Counter[str], inside: int, overall: Counter[str], have: int, distinct: float) -> list[str]:
    """One term, or two, and then the first with each of the others; none if no term is more than `distinct` times as
    frequent as in all texts.
    """
    scores: dict[str, float] = {}
    for term, count in counts.items():
        often, both = count / inside, " " in term
        parts = [term, *term.split()] if both else [term]
        is_distinct = all(_lift(part, counts, overall, inside, have) > distinct for part in parts)
        if often >= _OFTEN and is_distinct and not _JOINING & {parts[-1], term.split()[0]}:
            scores[term] = often * math.log(_lift(term, counts, overall, inside, have)) * (_BOTH if both else 1)
    if not scores:
        return []
    best = sorted(scores, key=lambda term: (-scores[term], term))
    others = [term for term in best if not set(term.split()) & set(best[0].split())]
    second = [term for term in others[:1] if scores[term] >= _SECOND * scores[best[0]]]
    return [", ".join([best[0], *second]), *(f"{best[0]}, {other}" for other in others)]


def _lift(word: str, counts: Counter[str], overall: Counter[str], inside: int, have: int) -> float:
    return counts[word] / inside / (overall[word] / have)


def _terms(text: str) -> Iterator[str]:
    """The words of a text, and each two that follow each other."""
    for line in text.lower().split("\n"):
        words = [match[0] for match in _WORD.finditer(line[:1000]) if len(match[0]) > 1][:_MOST_WORDS]
        yield from words
        yield from (f"{one} {other}" for one, other in pairwise(words))
