"""A dual encoder whose right answers are known: it sees the mean colour of an image and the colour words of a text."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openalign.model.dual_encoder import DualEncoder, read_image

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (40, 50, 220),
    "yellow": (230, 220, 30),
    "white": (240, 240, 240),
    "violet": (150, 30, 200),
}


def unit_rows(rows: np.ndarray) -> torch.Tensor:
    centred = torch.from_numpy(np.asarray(rows, np.float32) - 127.5)
    return torch.nn.functional.normalize(centred, dim=1)


class ColourEncoder(DualEncoder):
    """Mean colour and named colour, both as unit vectors around mid-grey, so that each colour is its own direction."""

    name = "colours"
    width = 3
    fingerprint = "c010"
    image_size = 1
    temperature = 0.1

    def prepare(self, image):
        return read_image(image, min_side=1).mean(axis=(0, 1)).astype(np.float32)

    def _embed_prepared(self, images):
        return unit_rows(images)

    def _embed_text_batch(self, texts: Sequence[str]):
        return unit_rows(
            np.array([next((v for k, v in COLOURS.items() if k in text), (127, 127, 0)) for text in texts])
        )


class ConstantEncoder(ColourEncoder):
    """Says the same of everything."""

    name = "constant"

    def _embed_prepared(self, images):
        return unit_rows(np.full((len(images), 3), 200.0))

    def _embed_text_batch(self, texts: Sequence[str]):
        return unit_rows(np.full((len(texts), 3), 200.0))


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def constant_encoder() -> ConstantEncoder:
    return ConstantEncoder()


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Write `pairs.csv` from a header and rows; an image that is named for a colour (`red-2.png`) is painted so."""

    def write(header: str, *rows: str) -> Path:
        for row in rows:
            name = row.split(",")[0]
            colour = COLOURS.get(name.split(".")[0].split("-")[0])
            if colour is not None and not (tmp_path / name).exists():
                Image.new("RGB", (12, 8), colour).save(tmp_path / name)
        path = tmp_path / "pairs.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return write
