"""Batches of a small folder of images, and their comparison."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openalign.data.loading.loader import Batch, BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer

COUNT = 23
SETTINGS = LoaderSettings(batch_size=8, seed=5, image_size=24, resize_size=32, workers=0)


def batches(
    pairs: Pairs, tokenizer: Tokenizer, first: int = 0, last: int = 6, cache: Path | None = None, **changes: Any
) -> list[Batch]:
    ranks = {name: changes.pop(name) for name in ("rank", "world_size") if name in changes}
    settings = replace(SETTINGS, **changes)
    return list(BatchLoader(pairs, tokenizer, settings, first_step=first, last_step=last, cache=cache, **ranks))


def assert_equal(some: Sequence[Batch], others: Sequence[Batch]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.step == other.step
        assert torch.equal(one.images_BHWC, other.images_BHWC)
        assert torch.equal(one.ids_BT, other.ids_BT)
        assert torch.equal(one.mask_BT, other.mask_BT)
        assert np.array_equal(one.rows_B, other.rows_B)
        assert torch.equal(one.image_ids_B, other.image_ids_B)
        assert torch.equal(one.text_ids_B, other.text_ids_B)
        assert one.problems == other.problems
