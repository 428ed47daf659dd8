"""Near-duplicates of test images: a perceptual hash finds candidates, aligned thumbnails and colours confirm them.

Both are exact searches over fingerprints, so no image is decoded again. The hash alone is not enough: hashes of
different drawings on plain backgrounds are as close as those of cropped copies. The paper (Appendix A) compares
embeddings of a separate image model instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.images.fingerprint import SIDE

_COLOURLESS = 1.5  # mean chroma: less is grey, or the noise that JPEG adds to it
_STEPS = 6  # Gauss-Newton steps; further ones change the correlation of true copies by less than 0.001
_HASH_PAIRS_AT_ONCE = 1 << 22  # pairs of hashes: 32 MB
_THUMBNAIL_PAIRS_AT_ONCE = 512  # pairs of thumbnails


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of N images."""

    hashes: NDArray[np.uint64]
    """(N,)"""
    thumbnails: NDArray[np.uint8]
    """(N, 32, 32), grey"""
    colours: NDArray[np.int8]
    """(N, 8, 8, 2), Cb and Cr around 0"""

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True)
class Match:
    """A corpus image (its row) that is a near-duplicate of a test image (its row), and their correlation."""

    corpus: int
    test: int
    correlation: float


def find_near_duplicates(corpus: Fingerprints, test: Fingerprints, settings: DuplicateSettings) -> list[Match]:
    """For each corpus image that is a near-duplicate of test images, the closest of them, in corpus order.

    Candidates differ in at most `duplicate_hash_bits` of 64; a match correlates, when aligned, by at least
    `duplicate_correlation` overall and `duplicate_detail` in its details, and has like colours unless either is grey.
    Time grows with len(corpus) x len(test), memory with neither.
    """
    return _closest(corpus, test, _candidates(corpus.hashes, test.hashes, settings.duplicate_hash_bits), settings)


def find_earlier_duplicates(images: Fingerprints, settings: DuplicateSettings) -> list[Match]:
    """For each image that is a near-duplicate of images before it, the closest of them (as `test`), in order.

    Near-duplicates are defined as in `find_near_duplicates`.
    """
    candidates = _candidates(images.hashes, images.hashes, settings.duplicate_hash_bits)
    earlier = ((rows[columns < rows], columns[columns < rows]) for rows, columns in candidates)
    return _closest(images, images, earlier, settings)


def _closest(
    corpus: Fingerprints,
    test: Fingerprints,
    candidates: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]],
    settings: DuplicateSettings,
) -> list[Match]:
    """For each row, the closest of its candidates (rows, columns) that is a near-duplicate."""
    best: dict[int, Match] = {}
    for rows, columns in candidates:
        alike = colours_agree(corpus.colours[rows], test.colours[columns], settings.duplicate_colour)
        rows, columns = rows[alike], columns[alike]
        for start in range(0, len(rows), _THUMBNAIL_PAIRS_AT_ONCE):
            row, column = (
                rows[start : start + _THUMBNAIL_PAIRS_AT_ONCE],
                columns[start : start + _THUMBNAIL_PAIRS_AT_ONCE],
            )
            overall, details = aligned_correlations(test.thumbnails[column], corpus.thumbnails[row])
            confirmed = (overall >= settings.duplicate_correlation) & (details >= settings.duplicate_detail)
            for index in np.flatnonzero(confirmed).tolist():
                match = Match(int(row[index]), int(column[index]), float(overall[index]))
                if match.corpus not in best or match.correlation > best[match.corpus].correlation:
                    best[match.corpus] = match
    return [best[row] for row in sorted(best)]


def colours_agree(ones: NDArray[np.int8], others: NDArray[np.int8], most: float) -> NDArray[np.bool_]:
    """(N,): whether colours (N, 8, 8, 2) differ by at most `most` in the mean; a grey image agrees with any."""
    one, other = ones.astype(np.int16), others.astype(np.int16)
    axes = (1, 2, 3)
    colourless = np.minimum(np.abs(one).mean(axes), np.abs(other).mean(axes)) < _COLOURLESS
    return np.asarray(colourless | (np.abs(one - other).mean(axes) <= most))


def aligned_correlations(
    ones: NDArray[np.uint8], others: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Overall and detail correlation (N,) of thumbnails (N, 32, 32) with others, shifted and scaled to agree best.

    Detail is the difference from the mean of the 5 x 5 pixels around: two skies that fade alike agree only overall. The
    alignment (up to a tenth of the side, scale 0.8 to 1.25, x and y apart) undoes crops and borders. It is found by
    Gauss-Newton steps, so it starts only from images that already resemble each other.
    """
    fixed = torch.from_numpy(ones).float()
    moving = _with_gradients(torch.from_numpy(others).float())
    scale_shift = torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(len(fixed), 1)  # of x, then of y
    overall, aligned = torch.full((len(fixed),), -1.0), scale_shift
    for step in range(_STEPS + 1):
        sampled, inside = _sample(moving, scale_shift)
        one, other = _centred(fixed, inside), _centred(sampled[:, 0], inside)
        correlation = _correlation(one, other)
        aligned = torch.where((correlation > overall)[:, None], scale_shift, aligned)
        overall = torch.maximum(overall, correlation)
        if step < _STEPS:
            slopes = (sampled[:, 1] * _X, sampled[:, 1], sampled[:, 2] * _X.T, sampled[:, 2])
            jacobian = torch.stack([_centred(slope, inside).flatten(1) for slope in slopes], -1)
            gain = (one * other).sum((1, 2)) / (other**2).sum((1, 2)).clamp_min(1.0)
            residual = one / gain.clamp_min(0.2)[:, None, None] - other
            scale_shift = _moved(scale_shift, jacobian, residual.flatten(1))
    sampled, inside = _sample(moving, aligned)
    detail = _correlation(_detail(fixed, inside), _detail(sampled[:, 0], inside))
    return overall.numpy(), detail.numpy()


def _sample(moving: torch.Tensor, scale_shift: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`moving` (N, 3, S, S) scaled and shifted, and (N, S, S): 1 where the position is inside `moving`."""
    x_scale, x_shift, y_scale, y_shift = scale_shift.T[:, :, None, None]
    positions = torch.stack([x_scale * _X + x_shift, y_scale * _X.T + y_shift], -1)
    sampled = F.grid_sample(moving, positions, align_corners=False, padding_mode="border")
    return sampled, (positions.abs() <= 1).all(-1).float()


def _moved(scale_shift: torch.Tensor, jacobian: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """One damped Gauss-Newton step of (N, 4) by jacobian (N, P, 4) and residual (N, P), kept within its bounds."""
    normal = jacobian.transpose(1, 2) @ jacobian
    damping = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(1) + 1e-3
    normal = normal + damping[:, None, None] * torch.eye(4)
    step = torch.linalg.solve(normal, jacobian.transpose(1, 2) @ residual[:, :, None])[:, :, 0]
    moved = scale_shift + step.clamp(-0.08, 0.08)
    lowest, highest = torch.tensor([0.8, -0.2, 0.8, -0.2]), torch.tensor([1.25, 0.2, 1.25, 0.2])
    return torch.clamp(moved, lowest, highest)


def _with_gradients(images: torch.Tensor) -> torch.Tensor:
    """(N, S, S) -> (N, 3, S, S): the images and their slopes along x and y, per unit of [-1, 1]."""
    along_x = F.pad((images[:, :, 2:] - images[:, :, :-2])[:, None], (1, 1, 0, 0), mode="replicate")
    along_y = F.pad((images[:, 2:] - images[:, :-2])[:, None], (0, 0, 1, 1), mode="replicate")
    return torch.cat([images[:, None], along_x * (SIDE / 4), along_y * (SIDE / 4)], 1)


def _correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(N,) of centred (N, S, S); 0 where one of them is flat."""
    together, power = (one * other).sum((1, 2)), (one**2).sum((1, 2)) * (other**2).sum((1, 2))
    return together / power.sqrt().clamp_min(1.0)


def _centred(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(N, S, S) minus its mean over where `inside` is 1, and 0 elsewhere."""
    mean = (values * inside).sum((1, 2), keepdim=True) / inside.sum((1, 2), keepdim=True)
    return (values - mean) * inside


def _detail(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(N, S, S) minus its mean over 5 x 5 pixels of `inside`, centred."""
    around = F.avg_pool2d(torch.stack([values * inside, inside], 1), 5, 1, 2, count_include_pad=False)
    return _centred(values - around[:, 0] / around[:, 1].clamp_min(1e-3), inside)


def _candidates(
    corpus: NDArray[np.uint64], test: NDArray[np.uint64], bits: int
) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    block = max(1, _HASH_PAIRS_AT_ONCE // max(1, len(test)))
    for start in range(0, len(corpus), block):
        differing = np.bitwise_count(corpus[start : start + block, None] ^ test[None])
        rows, columns = np.nonzero(differing <= bits)
        yield rows + start, columns


_X = ((torch.arange(SIDE) + 0.5) * 2 / SIDE - 1).expand(SIDE, SIDE)  # of each pixel, from -1 to 1; y is its transpose
