"""Near-duplicates of test images: a perceptual hash finds candidates, aligned thumbnails and colours confirm them.

Both steps are exact searches over numbers that the first and only decoding of an image leaves behind. The hash alone
would not do: among drawings on plain backgrounds, strangers come as close as cropped copies do. The paper (Appendix A)
compares embeddings of a separate image model instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from openalign.curate.settings import CurateSettings
from openalign.data.images import resize, shrink

SIDE = 32
"""Pixels of a grey thumbnail's side."""
COLOUR_SIDE = 8
"""Of a colour thumbnail's."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CHROMA = np.array([[-0.168736, 0.5], [-0.331264, -0.418688], [0.5, -0.081312]], np.float32)  # to Cb, Cr
_COLOURLESS = 1.5  # mean chroma: less is grey, or the noise that JPEG adds to it
_FREQUENCIES = 8
_SHRUNK = 128  # px of the shorter side from which a thumbnail is made; finer detail does not survive to 32 px
_BORDER_SHARE = 0.1  # of a side: how deep a plain border may be cut off at each edge
_BORDER_LEVELS = 12  # grey levels by which JPEG's noise makes a plain border uneven
_STEPS = 6  # Gauss-Newton steps; further ones change the correlation of true copies by less than 0.001
_COMPARED_AT_ONCE = 1 << 22  # pairs of hashes: 32 MB
_CONFIRMED_AT_ONCE = 512  # pairs of thumbnails


@dataclass(frozen=True)
class Fingerprints:
    """What near-duplicates are found by: one row an image."""

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


def thumbnails(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Grey (32, 32) and colour (8, 8, 2) of an RGB (H, W, 3) image, stretched to a square, without a plain border."""
    small = shrink(image, _SHRUNK)
    top, bottom, left, right = _without_border((small @ _LUMA).astype(np.int16))
    square = resize(np.ascontiguousarray(small[top:bottom, left:right]), SIDE, SIDE)
    colour = resize(square, COLOUR_SIDE, COLOUR_SIDE) @ _CHROMA
    return np.asarray(np.rint(square @ _LUMA), np.uint8), np.asarray(np.rint(colour).clip(-128, 127), np.int8)


def perceptual_hash(square: NDArray[np.uint8]) -> np.uint64:
    """64 bits of a grey (32, 32) image: which of its 8 x 8 lowest DCT coefficients lie above their median."""
    coefficients = _DCT @ square.astype(np.float64) @ _DCT.T
    bits = (coefficients > np.median(coefficients)).ravel()
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes()))


def find_near_duplicates(corpus: Fingerprints, test: Fingerprints, settings: CurateSettings) -> list[Match]:
    """For each corpus image that is a near-duplicate of test images, the closest of them, in corpus order.

    Candidates differ in at most `duplicate_hash_bits` of 64; a match correlates, when aligned, by at least
    `duplicate_correlation` overall and `duplicate_detail` in its details, and has like colours unless either is grey.
    Time grows with len(corpus) x len(test), memory with neither.
    """
    return _closest(corpus, test, _candidates(corpus.hashes, test.hashes, settings.duplicate_hash_bits), settings)


def find_earlier_duplicates(images: Fingerprints, settings: CurateSettings) -> list[Match]:
    """For each image that is a near-duplicate of images before it, the closest of them (as `test`), in order.

    What a near-duplicate is, `find_near_duplicates` says.
    """
    candidates = _candidates(images.hashes, images.hashes, settings.duplicate_hash_bits)
    earlier = ((rows[columns < rows], columns[columns < rows]) for rows, columns in candidates)
    return _closest(images, images, earlier, settings)


def _closest(
    corpus: Fingerprints,
    test: Fingerprints,
    candidates: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]],
    settings: CurateSettings,
) -> list[Match]:
    """Of the candidates (rows, columns) that are near-duplicates, the closest of each row."""
    best: dict[int, Match] = {}
    for rows, columns in candidates:
        alike = colours_agree(corpus.colours[rows], test.colours[columns], settings.duplicate_colour)
        rows, columns = rows[alike], columns[alike]
        for start in range(0, len(rows), _CONFIRMED_AT_ONCE):
            ours, theirs = rows[start : start + _CONFIRMED_AT_ONCE], columns[start : start + _CONFIRMED_AT_ONCE]
            overall, details = aligned_correlations(test.thumbnails[theirs], corpus.thumbnails[ours])
            confirmed = (overall >= settings.duplicate_correlation) & (details >= settings.duplicate_detail)
            for place in np.flatnonzero(confirmed).tolist():
                match = Match(int(ours[place]), int(theirs[place]), float(overall[place]))
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

    Detail is what differs from the 5 x 5 pixels around: two skies that pale alike agree overall, yet not there. The
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
    """`moving` (N, 3, S, S) scaled and shifted, and (N, S, S) 1 where that lies inside of it."""
    x_scale, x_shift, y_scale, y_shift = scale_shift.T[:, :, None, None]
    places = torch.stack([x_scale * _X + x_shift, y_scale * _X.T + y_shift], -1)
    sampled = F.grid_sample(moving, places, align_corners=False, padding_mode="border")
    return sampled, (places.abs() <= 1).all(-1).float()


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
    block = max(1, _COMPARED_AT_ONCE // max(1, len(test)))
    for start in range(0, len(corpus), block):
        differing = np.bitwise_count(corpus[start : start + block, None] ^ test[None])
        rows, columns = np.nonzero(differing <= bits)
        yield rows + start, columns


def _without_border(grey: NDArray[np.int16]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of (H, W) without the plain border that copies are often given."""
    height, width = grey.shape
    top, bottom = _plain_lines(grey), height - _plain_lines(grey[::-1])
    return top, bottom, _plain_lines(grey.T), width - _plain_lines(grey.T[::-1])


def _plain_lines(grey: NDArray[np.int16]) -> int:
    """How many lines from the first on are a border: one level, and then a sharp edge. A sky that pales has none."""
    lines = grey[: int(len(grey) * _BORDER_SHARE) + 2]
    differences = np.abs(lines - np.median(lines[0])).max(axis=1)
    plain = int(np.argmax(differences > _BORDER_LEVELS))  # 0 when all lines are plain: a background, and no border
    # JPEG smears the edge over the first line after it, so the line beyond shows how sharp it is.
    return plain if differences[plain : plain + 2].max() > 3 * _BORDER_LEVELS else 0


def _dct(size: int, count: int) -> NDArray[np.float64]:
    """The first `count` rows of the DCT-II of `size` points, unnormalised as in scipy.fftpack."""
    place, frequency = np.arange(size), np.arange(count)[:, None]
    return np.asarray(2 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * size)), np.float64)


_DCT = _dct(SIDE, _FREQUENCIES)
_X = ((torch.arange(SIDE) + 0.5) * 2 / SIDE - 1).expand(SIDE, SIDE)  # of each pixel, from -1 to 1; y is its transpose
