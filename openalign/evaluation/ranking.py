"""The rank of the right candidate for many queries, computed in blocks so that not all scores are in memory.

Shapes: Q queries, C candidates, D embedding width, B queries in a block, P matches (query, candidate).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK_SCORES = 1 << 24
"""Scores in memory at once: 64 MB."""

TIE = 1e-6
"""Cosines closer than this count as equal: the float32 sum of one product varies by less between blocks."""


def ranks(queries_QD: Floats, candidates_CD: Floats, matches_P2: Ints) -> Ints:
    """The rank (Q,), from 1, of each query's best match.

    A candidate with the same score as the match ranks before it, so that a model with constant output gets the worst
    rank, not the best. Other matches of the same query do not count.

    Args:
        queries_QD: unit rows, shape (Q, D).
        candidates_CD: unit rows, shape (C, D).
        matches_P2: matching pairs (query, candidate), each once; every query has at least one.

    Raises:
        OpenAlignError: an embedding is not finite; comparisons with it are always false and would look like rank 1.
    """
    for name, vectors in (("query", queries_QD), ("candidate", candidates_CD)):
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            raise OpenAlignError(f"The embedding of {name} {broken[0]} is not finite: the model cannot be evaluated.")
    matches = matches_P2[np.argsort(matches_P2[:, 0], kind="stable")]
    result = np.empty(len(queries_QD), np.int64)
    block = max(1, BLOCK_SCORES // max(1, len(candidates_CD)))
    for start in range(0, len(queries_QD), block):
        scores_BC = queries_QD[start : start + block] @ candidates_CD.T
        first, last = np.searchsorted(matches[:, 0], (start, start + block))
        rows, columns = matches[first:last, 0] - start, matches[first:last, 1]
        best_B = np.full(len(scores_BC), -np.inf, np.float32)
        np.maximum.at(best_B, rows, scores_BC[rows, columns])
        scores_BC[rows, columns] = -np.inf
        result[start : start + block] = 1 + (scores_BC >= best_B[:, None] - TIE).sum(axis=1)
    return result


def share_within(ranks_Q: Ints, k: int) -> float:
    """R@k: the fraction of queries whose match is among the first `k`."""
    return float((ranks_Q <= k).mean())


def chance_within(matches_of_query: Sequence[int] | Ints, candidates: int, k: int) -> float:
    """R@k of a random order: the mean over queries of 1 - C(c - m, k) / C(c, k), m matches among c candidates."""
    sizes, queries = np.unique(np.asarray(matches_of_query), return_counts=True)
    steps = np.arange(sizes.max())
    missed = np.clip((candidates - k - steps) / np.maximum(candidates - steps, 1), 0.0, 1.0)
    all_missed = np.cumprod(missed)[sizes - 1]
    return float(1.0 - np.average(all_missed, weights=queries))


def chance_median(matches_of_query: Sequence[int] | Ints, candidates: int) -> int:
    """The median rank of a random order: the first rank by which half of the queries have found a match."""
    low, high = 1, candidates
    while low < high:
        middle = (low + high) // 2
        # Slightly below a half, because 1 - (1 - 1/2) may be rounded down.
        if chance_within(matches_of_query, candidates, middle) >= 0.5 - 1e-9:
            high = middle
        else:
            low = middle + 1
    return low
