"""Tables of painted images for the encoder that knows colours, and an encoder that knows nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from openalign.model.dual_encoder import DualEncoder


class ConstantEncoder(DualEncoder):
    """Says the same of everything."""

    name = "constant"
    width = 3
    fingerprint = "c0"
    image_size = 1
    temperature = 0.1

    def prepare(self, image):
        return torch.zeros(1).numpy()

    def _embed_prepared(self, images):
        return torch.nn.functional.normalize(torch.ones(len(images), 3), dim=1)

    def _embed_text_batch(self, texts: Sequence[str]):
        return self._embed_prepared(texts)


@pytest.fixture
def encoder(paint_encoder):
    return paint_encoder


@pytest.fixture
def constant_encoder() -> ConstantEncoder:
    return ConstantEncoder()


@pytest.fixture
def table(tmp_path: Path, paint) -> Callable[..., Path]:
    """Write `pairs.csv` from a header and rows; an image that is named for a colour (`red-2.png`) is painted so."""

    def write(header: str, *rows: str) -> Path:
        for name in {row.split(",")[0] for row in rows}:
            colour = name.split(".")[0].split("-")[0]
            if colour in ("red", "green", "blue", "yellow", "violet", "white"):
                paint(tmp_path / name, colour)
        path = tmp_path / "pairs.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return write
