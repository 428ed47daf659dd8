"""Shared by the tests of search and service: painted images, and a model whose right answers anyone can see."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from openalign.model.dual_encoder import DualEncoder, read_image

COLOURS = {
    "red": (225, 40, 40),
    "green": (40, 190, 70),
    "blue": (45, 70, 225),
    "yellow": (235, 215, 50),
    "violet": (110, 40, 215),
    "white": (245, 245, 245),
}


class PaintEncoder(DualEncoder):
    """Sees the mean colour of an image and the first colour word of a text, as directions from mid-grey."""

    name = "paint"
    width = 3
    fingerprint = "0123456789abcdef"
    image_size = 1
    temperature = 0.1

    def __init__(self) -> None:
        self.images_embedded = 0

    def prepare(self, image):
        return read_image(image, min_side=1).mean(axis=(0, 1)).astype(np.float32)

    def _embed_prepared(self, images):
        self.images_embedded += len(images)
        return _directions(images)

    def _embed_text_batch(self, texts: Sequence[str]):
        return _directions([COLOURS[next(name for name in COLOURS if name in text)] for text in texts])


def _directions(colours: Sequence[Sequence[float]]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(np.asarray(colours, np.float32)) - 127.5, dim=1)


@pytest.fixture
def paint_encoder() -> PaintEncoder:
    return PaintEncoder()


@pytest.fixture
def paint() -> Callable[..., Path]:
    """Paint an image of one colour with a small darker shape on it; the format follows the suffix."""

    def paint(path: Path, colour: str, size: tuple[int, int] = (60, 40), shape: str = "ellipse") -> Path:
        width, height = size
        image = Image.new("RGB", size, COLOURS[colour])
        darker = tuple(int(0.8 * channel) for channel in COLOURS[colour])
        getattr(ImageDraw.Draw(image), shape)((width // 3, height // 3, width // 2, height // 2), fill=darker)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        return path

    return paint
