"""Any dual encoder of the transformers library as a `DualEncoder`, for evaluation and search, not for training."""

import inspect
import math
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
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder
from openalign.model.foreign.packed import pack_layers
from openalign.model.foreign.text_inputs import TextInputs
from openalign.model.limits import MOST_SIDE
from openalign.model.pretrained import load_model, load_processor, load_tokenizer, model_class

_ROUNDING = 1e-4
"""Largest difference of a component that is due to another order of additions."""
_AT_ONCE = 8
"""Images of a batch that go through the tower together: what its layers pass on stays in the processor's cache."""
_IMAGES, _TEXTS = "get_image_features", "get_text_features"
_NO_COMMON_SPACE = {
    "blip-2": "its language model gives a vector for each word piece, and none in the space of the images",
}
"""Models with both methods whose vectors cannot be compared, by type."""


class TransformersEncoder(DualEncoder):
    """Any dual encoder of the transformers library, such as CLIP, SigLIP or the port of ALIGN.

    Raises:
        OpenAlignError: the folder, which has passed `check_folder`, has no dual encoder that can be loaded.
    """

    def __init__(self, folder: Path, *, name: str, fingerprint: str) -> None:
        self.name = name
        self.fingerprint = fingerprint
        with library_errors(f"{name}: cannot be loaded by transformers"):  # a class may stand for a missing library
            _check_dual(model_class(AutoModel, folder), name)
        self.model = load_model(AutoModel, folder)
        pack_layers(self.model)
        self.processor = load_processor(folder)
        tokenizer = load_tokenizer(folder)
        with library_errors(f"{name}: cannot be used as a dual encoder"):
            self._texts = TextInputs(self.model, tokenizer, name)
            self._image_inputs = inspect.signature(self.model.get_image_features).parameters.keys()
            self.temperature = self._temperature()
            self._probe()

    def _probe(self) -> None:
        """Find the sizes with one image and two texts of different length, which tests both towers as well."""
        self._prepared: tuple[np.dtype[Any], tuple[int, ...]] | None = None
        blank = self.prepare(np.zeros((64, 64, 3), np.uint8))
        self._prepared = blank.dtype, blank.shape
        self.image_size = self._side(blank)
        vectors_1D = self._embed_prepared(blank[None])
        self.width = vectors_1D.shape[-1]
        self._checked(vectors_1D, 1)
        if self._differs_beside_others("a", "a red apple"):
            # AIMv2: transformers drops a mask without padding, and with it the causal order, except in this mode.
            self.model.set_attn_implementation("eager")
            if self._differs_beside_others("a", "a red apple"):
                raise OpenAlignError(f"{self.name}: gives a text another vector when a longer text is beside it.")

    def _differs_beside_others(self, text: str, longer: str) -> bool:
        """Whether the vector of a text is another one when it is padded; also tests the text tower."""
        alone_1D, beside_2D = self.embed_texts([text]), self.embed_texts([text, longer])
        return bool(np.abs(alone_1D[0] - beside_2D[0]).max() > _ROUNDING)

    def _side(self, prepared: NDArray[Any]) -> int:
        """The side in pixels of what the image tower sees: a square, or patches in a number that makes one."""
        patched = prepared.dtype.names is not None and "spatial_shapes" in prepared.dtype.names
        shape = prepared["pixel_values"].shape if prepared.dtype.names else prepared.shape
        if patched and len(shape) == 2:
            patches, numbers = shape
            side = round(math.sqrt(patches * numbers / 3))
        else:
            side = shape[1] if len(shape) == 3 and shape[0] == 3 and shape[1] == shape[2] else 0
        if not 0 < side <= MOST_SIDE:
            raise OpenAlignError(f"{self.name}: its image processor makes arrays of shape {shape}, not (3, S, S).")
        return side

    def _temperature(self) -> float:
        temperature = 0.01
        if hasattr(self.model, "logit_scale"):
            scale = self.model.logit_scale.detach().float()
            if (most := getattr(self.model, "max_log_logit_scale", None)) is not None:  # AIMv2
                scale = scale.clamp(0.0, most)
            temperature = float(torch.exp(-scale))
        elif hasattr(self.model, "temperature"):
            temperature = float(self.model.temperature.detach())
        if not 0 < temperature < float("inf"):
            raise OpenAlignError(f"{self.name}: its temperature is {temperature:g}; it must be a number above 0.")
        return temperature

    def prepare(self, image: ImageInput) -> NDArray[Any]:
        """Apply the model's image processor -> float32 (3, S, S); for NaFlex its patches, their mask and their grid."""
        pixels = Image.fromarray(read_image(image))
        with library_errors(f"{self.name}: its image processor failed"):
            made = self.processor(images=pixels, return_tensors="np")
            parts = {key: np.asarray(made[key])[0] for key in made if key in self._image_inputs}
            out = parts["pixel_values"] if len(parts) == 1 else _together(parts)
        if self._prepared is not None and (out.dtype, out.shape) != self._prepared:
            raise OpenAlignError(
                f"{self.name}: its image processor makes an array of shape {out.shape} of this image, and "
                f"{self._prepared[1]} of others."
            )
        return out

    @torch.inference_mode()
    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        some = range(0, len(images), _AT_ONCE)
        return torch.cat([self._embed_some(images[start : start + _AT_ONCE]) for start in some])

    def _embed_some(self, images: NDArray[Any]) -> torch.Tensor:
        parts = {name: images[name] for name in images.dtype.names} if images.dtype.names else {"pixel_values": images}
        inputs = {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()}
        return _unit_rows(self.model.get_image_features(**inputs))

    @torch.inference_mode()
    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        tokens = self._texts(texts)
        with library_errors(f"{self.name}: its text tower failed"):
            return _unit_rows(self.model.get_text_features(**tokens))


def _check_dual(architecture: type, name: str) -> None:
    """Raise OpenAlignError unless models of this class have an image and a text tower into one space."""
    kind = getattr(getattr(architecture, "config_class", None), "model_type", architecture.__name__)
    if not (hasattr(architecture, _IMAGES) and hasattr(architecture, _TEXTS)):
        raise OpenAlignError(
            f"{name}: not a dual encoder (model type `{kind}`); it needs an image tower and a text tower."
        )
    if kind in _NO_COMMON_SPACE:
        raise OpenAlignError(f"{name}: not a dual encoder (model type `{kind}`): {_NO_COMMON_SPACE[kind]}.")


def _together(parts: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Several arrays of one image as a single element of a structured array, which stacks like any other."""
    fields = [(name, part.dtype, part.shape) for name, part in parts.items()]
    out = np.zeros((), dtype=fields)
    for name, part in parts.items():
        out[name] = part
    return out


def _unit_rows(features: Any) -> torch.Tensor:
    """Unit rows, in single precision, of what a tower returns; FLAVA returns one for each position, [CLS] first."""
    rows = features if isinstance(features, torch.Tensor) else features.pooler_output
    if not isinstance(rows, torch.Tensor):
        raise OpenAlignError("a tower of it gives no vector of the whole image or text")
    rows_BD = rows[:, 0] if rows.ndim == 3 else rows
    return torch.nn.functional.normalize(rows_BD.float(), dim=1)
