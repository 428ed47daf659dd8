"""ALIGN as a `DualEncoder`: the model with its tokenizer and image preprocessing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from openalign.data.images.decode import resize
from openalign.data.images.read import ImageInput, read_image
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.model.align import Align
from openalign.model.dual_encoder import DualEncoder, Resize, centre_crop


class AlignEncoder(DualEncoder):
    """ALIGN with its tokenizer and image preprocessing.

    Args:
        max_pieces: word pieces of a text that are kept; default: all that the model has positions for.
        resized: how images are resized.
    """

    def __init__(
        self,
        model: Align,
        tokenizer: Tokenizer,
        *,
        name: str,
        fingerprint: str,
        max_pieces: int | None = None,
        resized: Resize = resize,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.width = model.width
        self.image_size = model.settings.image_size
        self.max_pieces = max_pieces or model.settings.text_tower.max_pieces
        self.temperature = float(model.temperature.detach())
        self._resized = resized

    @property
    def _device(self) -> torch.device:
        return self.model.log_temperature.device

    def prepare(self, image: ImageInput) -> NDArray[np.uint8]:
        """Resize to a square and crop the centre (paper section 5) -> uint8 (S, S, 3)."""
        side = self.model.settings.resize_size
        return centre_crop(read_image(image), resize_size=side, image_size=self.image_size, resized=self._resized)

    @torch.inference_mode()
    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        return self.model.embed_images(torch.from_numpy(images).to(self._device))

    @torch.inference_mode()
    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        ids_BT, mask_BT = self.tokenizer(texts, self.max_pieces)
        device = self._device
        return self.model.embed_texts(torch.from_numpy(ids_BT).to(device), torch.from_numpy(mask_BT).to(device))
