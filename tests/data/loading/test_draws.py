"""Crops lie within the image and cover the share that is set."""

from dataclasses import replace

import numpy as np
import pytest

from openalign.data.loading.draws import crops_of_step
from tests.data.loading.batches import SETTINGS


def test_crops_lie_within_the_image_and_reach_its_edges() -> None:
    boxes_B4, mirrored_B = crops_of_step(0, replace(SETTINGS, batch_size=1000))
    assert boxes_B4.min(0).tolist() == [0, 0, 24, 24]
    assert boxes_B4.max(0).tolist() == [8, 8, 24, 24]
    assert 400 < mirrored_B.sum() < 600
    boxes_B4, mirrored_B = crops_of_step(0, replace(SETTINGS, crop=False, flip=False))
    assert np.unique(boxes_B4, axis=0).tolist() == [[4, 4, 24, 24]]
    assert not mirrored_B.any()


def test_crops_of_any_scale_cover_the_share_asked_for() -> None:
    settings = replace(SETTINGS, batch_size=10_000, resize_size=200, crop_scale=0.25)
    tops_B, lefts_B, heights_B, widths_B = crops_of_step(0, settings)[0].T
    shares_B = heights_B * widths_B / 200**2
    assert shares_B.min() == pytest.approx(0.25, abs=0.01)
    assert shares_B.max() > 0.99
    assert np.mean(shares_B < 0.5) == pytest.approx(1 / 3, abs=0.03)
    shapes_B = heights_B / widths_B
    assert (shapes_B.min(), shapes_B.max()) == (pytest.approx(3 / 4, abs=0.02), pytest.approx(4 / 3, abs=0.02))
    assert np.median(shapes_B) == pytest.approx(1, abs=0.02)
    assert min(tops_B.min(), lefts_B.min()) == 0
    assert max((tops_B + heights_B).max(), (lefts_B + widths_B).max()) == 200
    centred = crops_of_step(0, replace(settings, crop=False))[0]
    assert np.unique(centred, axis=0).tolist() == [[88, 88, 24, 24]]
