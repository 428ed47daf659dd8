"""A small folder of images with texts, its pairs, and a tokenizer of its texts."""

from pathlib import Path

import numpy as np
import pytest

from openalign.data.images.decode import encode_jpeg, resize
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from tests.data.loading.batches import COUNT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(COUNT):
        colours = np.random.default_rng(i).integers(0, 255, (3, 4, 3), dtype=np.uint8)
        (folder / f"{i:02d}.jpg").write_bytes(encode_jpeg(resize(colours, 60, 50 + i)))
        (folder / f"{i:02d}.txt").write_text(f"picture {'long ' * (i % 4)}number {i}")
    return folder


@pytest.fixture
def pairs(folder: Path) -> Pairs:
    return open_pairs(folder)


@pytest.fixture
def tokenizer(pairs: Pairs, tmp_path: Path) -> Tokenizer:
    return Tokenizer.load(train_tokenizer(pairs.texts(), tmp_path / "tokenizer.json", 200))
