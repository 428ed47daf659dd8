"""The random draws of a step: crops, flips and the keys of dropped words, as functions of (seed, step) alone."""

import numpy as np
from numpy.typing import NDArray

from openalign.data.loading.settings import LoaderSettings

_WORD_DROPOUT_COUNTER = 2 << 192
"""Counter of the generator keyed by (seed, step); crops draw from counter 0 on, the sample order from 1 << 192."""
_CROP_LONGEST = 4 / 3
"""Largest ratio of the longer to the shorter side of a scaled crop: the usual value for such crops."""


def crops_of_step(step: int, settings: LoaderSettings) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Top, left, height and width of each crop in pixels, (B, 4), and whether it is mirrored, (B,), for all ranks."""
    draw = np.random.Generator(np.random.Philox(key=[settings.seed, step]))
    count, side = settings.batch_size, settings.resize_size
    sizes_2B = np.full((2, count), settings.image_size)
    if settings.crop and settings.crop_scale is not None:
        areas_B, shapes_B = draw.uniform(settings.crop_scale, 1, count), draw.uniform(-1, 1, count)
        target_2B = side * np.sqrt(areas_B * _CROP_LONGEST ** np.array([shapes_B, -shapes_B]))
        sizes_2B = np.clip(np.rint(target_2B), 1, side).astype(np.int64)
    corners_2B = (side - sizes_2B) // 2
    if settings.crop:
        corners_2B = draw.integers(0, side - sizes_2B + 1)
    mirrored_B = draw.random(count) < 0.5 if settings.flip else np.zeros(count, dtype=np.bool_)
    return np.concatenate([corners_2B, sizes_2B]).T, mirrored_B


def word_keys_of_step(step: int, settings: LoaderSettings) -> NDArray[np.uint64]:
    """(batch_size,) the random key of each text, from which its dropped words follow; for all ranks."""
    draw = np.random.Philox(key=[settings.seed, step], counter=_WORD_DROPOUT_COUNTER)
    return draw.random_raw(settings.batch_size).astype(np.uint64)
