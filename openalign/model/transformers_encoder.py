"""Any dual encoder of the transformers library, behind our interface: for evaluation and search, not for training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, ImageInput, read_image


class TransformersEncoder(DualEncoder):
    """Any dual encoder of the transformers library: CLIP, SigLIP, ALIGN's port and their like."""

    def __init__(self, folder: Path, *, name: str, fingerprint: str) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.model: Any = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
        if not (hasattr(self.model, "get_image_features") and hasattr(self.model, "get_text_features")):
            raise OpenAlignError(f"{name}: not a dual encoder; it needs an image tower and a text tower.")
        self.processor: Any = AutoImageProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.max_pieces: int = self.model.config.text_config.max_position_embeddings
        probe = self.prepare(np.zeros((64, 64, 3), np.uint8))
        self.image_size = int(probe.shape[-1])
        self.width = int(self.embed_prepared(probe[None]).shape[1])
        self.temperature = self._temperature()

    def _temperature(self) -> float:
        if hasattr(self.model, "logit_scale"):
            return float(torch.exp(-self.model.logit_scale.detach()))
        return float(self.model.temperature.detach()) if hasattr(self.model, "temperature") else 0.01

    def prepare(self, image: ImageInput) -> NDArray[np.float32]:
        """The model's own processor -> float32 (3, S, S)."""
        pixels = Image.fromarray(read_image(image, min_side=1024))
        out: NDArray[np.float32] = self.processor(images=pixels, return_tensors="np")["pixel_values"][0]
        return out

    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        return _unit_rows(self.model.get_image_features(pixel_values=torch.from_numpy(images)))

    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        # SigLIP was trained with every text padded to full length; for the others it is only slower.
        padding = "max_length" if "siglip" in self.model.config.model_type else True
        tokens = self.tokenizer(
            list(texts), padding=padding, truncation=True, max_length=self.max_pieces, return_tensors="pt"
        )
        return _unit_rows(self.model.get_text_features(**tokens))


def _unit_rows(features: Any) -> torch.Tensor:
    rows_BD: torch.Tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(rows_BD, dim=1)
