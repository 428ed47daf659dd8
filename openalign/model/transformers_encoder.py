"""Any dual encoder of the transformers library as a `DualEncoder`, for evaluation and search, not for training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModel

from openalign.data.files.library_errors import library_errors
from openalign.data.images.read import ImageInput, read_image
from openalign.data.tokenizer.wordpiece import CHARACTERS_PER_PIECE, MOST_ENTRIES, whole_characters
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder
from openalign.model.limits import MOST_SIDE
from openalign.model.pretrained import load_model, load_processor, load_tokenizer


class TransformersEncoder(DualEncoder):
    """Any dual encoder of the transformers library, such as CLIP, SigLIP or the port of ALIGN.

    Raises:
        OpenAlignError: the folder, which has passed `check_folder`, has no dual encoder that can be loaded.
    """

    def __init__(self, folder: Path, *, name: str, fingerprint: str) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.model = load_model(AutoModel, folder)
        if not (hasattr(self.model, "get_image_features") and hasattr(self.model, "get_text_features")):
            raise OpenAlignError(f"{name}: not a dual encoder; it needs an image tower and a text tower.")
        self.processor = load_processor(folder)
        self.tokenizer = load_tokenizer(folder)
        with library_errors(f"{name}: cannot be used as a dual encoder"):
            self.max_pieces = int(self.model.config.text_config.max_position_embeddings)
            self.vocabulary = int(self.model.config.text_config.vocab_size)
            self.temperature = self._temperature()
            self._check_tokenizer()
            self._probe()

    def _probe(self) -> None:
        """Find the sizes with one image and two texts of different length, which also tests both towers."""
        self.image_size = 0
        shape = self.prepare(np.zeros((64, 64, 3), np.uint8)).shape
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2] or not 0 < shape[1] <= MOST_SIDE:
            raise OpenAlignError(f"{self.name}: its image processor makes arrays of shape {shape}, not (3, S, S).")
        self.image_size = shape[1]
        with torch.inference_mode():
            vectors_1D = self._embed_prepared(np.zeros((1, *shape), np.float32))
        self.width = vectors_1D.shape[1]
        self._checked(vectors_1D, 1)
        self.embed_texts(["a", "a red apple"])

    def _check_tokenizer(self) -> None:
        if len(self.tokenizer) > MOST_ENTRIES:
            raise OpenAlignError(
                f"{self.name}: its tokenizer has {len(self.tokenizer):,} entries; at most {MOST_ENTRIES:,} are read."
            )

    def _temperature(self) -> float:
        temperature = 0.01
        if hasattr(self.model, "logit_scale"):
            temperature = float(torch.exp(-self.model.logit_scale.detach()))
        elif hasattr(self.model, "temperature"):
            temperature = float(self.model.temperature.detach())
        if not 0 < temperature < float("inf"):
            raise OpenAlignError(f"{self.name}: its temperature is {temperature:g}; it must be a number above 0.")
        return temperature

    def prepare(self, image: ImageInput) -> NDArray[np.float32]:
        """Apply the model's image processor -> float32 (3, S, S)."""
        pixels = Image.fromarray(read_image(image))
        with library_errors(f"{self.name}: its image processor failed"):
            out: NDArray[np.float32] = self.processor(images=pixels, return_tensors="np")["pixel_values"][0]
        if self.image_size and out.shape != (3, self.image_size, self.image_size):
            raise OpenAlignError(
                f"{self.name}: its image processor makes an array of shape {out.shape} of this image, and "
                f"{(3, self.image_size, self.image_size)} of others."
            )
        return out

    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        return _unit_rows(self.model.get_image_features(pixel_values=torch.from_numpy(images)))

    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        # SigLIP was trained with texts padded to full length; for other models that is only slower.
        padding = "max_length" if "siglip" in self.model.config.model_type else True
        short = [whole_characters(text[: CHARACTERS_PER_PIECE * self.max_pieces]) for text in texts]
        with library_errors(f"{self.name}: its tokenizer failed over a text"):
            tokens = self.tokenizer(
                short, padding=padding, truncation=True, max_length=self.max_pieces, return_tensors="pt"
            )
        if (largest := int(tokens["input_ids"].max())) >= self.vocabulary:
            raise OpenAlignError(
                f"{self.name}: its tokenizer gives the id {largest:,}, but the model has only {self.vocabulary:,} "
                "entries: it is the tokenizer of another model."
            )
        return _unit_rows(self.model.get_text_features(**tokens))


def _unit_rows(features: Any) -> torch.Tensor:
    rows_BD: torch.Tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(rows_BD, dim=1)
