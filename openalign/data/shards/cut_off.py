"""Which samples of a cut-off tar are whole."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from openalign.data.shards.grouping import Sample, has_words
from openalign.data.shards.members import parsed

Keyed = tuple[str, Sample]
"""Key and members."""


def whole_samples(samples: Sequence[Keyed], cut_member: str | None) -> tuple[list[Keyed], int]:
    """The samples that lost no member where the tar is cut off, and how many did.

    `cut_member` is the name of the member within which it ends, if that is known. Samples that follow are unknown, and
    not counted, but one is: a tar without its end has lost something. Where the members of each sample stand together,
    only the last one can have lost any; else each that has fewer than is usual.
    """
    if not samples:
        return [], 1
    cut_key = None if cut_member is None else parsed(cut_member)[1]
    usual = _usual_suffixes(samples)
    wordless = not any(has_words(sample.values()) for _, sample in samples)
    doubtful = samples[-1:] if _stand_together(samples) else samples
    lost = [
        (key, sample)
        for key, sample in doubtful
        if _is_of(cut_key, key)
        or (sample.keys() < usual)
        or (not has_words(sample.values()) and (not wordless or len(samples) == 1))
    ]
    dropped = {id(sample) for _, sample in lost}
    whole = [each for each in samples if id(each[1]) not in dropped]
    unseen = cut_key is not None and not any(_is_of(cut_key, key) for key, _ in lost)
    return whole, max(1, len(lost) + unseen)


def _is_of(cut_key: str | None, key: str) -> bool:
    return cut_key is not None and (cut_key == key or cut_key.startswith(f"{key}."))


def _usual_suffixes(samples: Sequence[Keyed]) -> set[str]:
    """The suffixes of most samples; of equally many, those of the larger set."""
    counts = Counter(frozenset(sample) for _, sample in samples)
    return set(max(counts.items(), key=lambda each: (each[1], len(each[0])))[0])


def _stand_together(samples: Sequence[Keyed]) -> bool:
    """Whether no member of one sample stands between those of another."""
    spans = sorted((min(each), max(each)) for _, sample in samples if (each := [m.offset for m in sample.values()]))
    return all(before[1] < after[0] for before, after in pairwise(spans))
