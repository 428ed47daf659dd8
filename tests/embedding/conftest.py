"""Shared: photos with texts, and two small models with random weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from tests.model.folders import align_folder, clip_folder

TEXTS = ["a red apple", "two cats in the snow", "dog"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = Tokenizer.load(train_tokenizer(TEXTS, folder / "tokenizer.json", size=60))
    return {
        "align": align_folder(folder / "align", tokenizer),
        "clip": clip_folder(folder / "clip", tokenizer),
    }


@pytest.fixture(scope="session")
def model(models: dict[str, Path]) -> Path:
    return models["align"]


@pytest.fixture
def photo() -> Callable[..., Path]:
    """Write a small noisy JPEG, which differs by its number, and its text if there is one."""

    def photo(folder: Path, number: int, text: str | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        path = folder / f"{number:03}.jpg"
        Image.fromarray(noise).resize((50 + number % 7, 40)).save(path)
        if text is not None:
            path.with_suffix(".txt").write_text(text)
        return path

    return photo


@pytest.fixture
def photos(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """Forty photos, every third without a text."""
    for number in range(40):
        photo(tmp_path / "photos", number, TEXTS[number % 3] if number % 3 else None)
    return tmp_path / "photos"
