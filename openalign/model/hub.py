"""Reading and writing Hugging Face folders: ours are `AlignModel` folders; any dual encoder can be loaded.

Our folder has `config.json` (with a section `openalign` for settings that the format lacks), `model.safetensors` with
the names of `AlignModel`, `tokenizer.json`, `preprocessor_config.json` and a model card.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from openalign.data.files.json_files import read_object
from openalign.data.files.library_errors import library_errors
from openalign.data.images.decode import resize
from openalign.data.images.read import ImageInput, read_image
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model.align import Align, AlignSettings
from openalign.model.config import config_from, preprocessor_from, settings_from
from openalign.model.dual_encoder import DualEncoder
from openalign.model.folder import CONFIG, PREPROCESSOR, WEIGHTS, check_folder, fingerprint_of, folder_of
from openalign.model.limits import check_config
from openalign.model.transformers_encoder import TransformersEncoder
from openalign.model.weights import check_finite, check_shapes, stored_tensors

__all__ = ["WEIGHTS", "align_settings", "fingerprint_of", "folder_of", "load", "load_align", "load_weights", "save"]

LOG_TEMPERATURE = "log_temperature"
MOST_LOG_TEMPERATURE = 20
"""Largest absolute value; the temperatures 0.01 and 0.02 of CLIP and ALIGN are -4.6 and -3.9."""
T = TypeVar("T")
UNUSED_BY_US = "text_model.pooler."  # of AlignModel; the paper projects [CLS] itself


class AlignEncoder(DualEncoder):
    """ALIGN with its tokenizer and image preprocessing."""

    def __init__(self, model: Align, tokenizer: Tokenizer, *, name: str, fingerprint: str) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.width = model.width
        self.image_size = model.settings.image_size
        self.temperature = float(model.temperature.detach())

    @property
    def _device(self) -> torch.device:
        return self.model.log_temperature.device

    def prepare(self, image: ImageInput) -> NDArray[np.uint8]:
        """Resize to a square and crop the centre (paper section 5) -> uint8 (S, S, 3)."""
        return centre_crop(
            read_image(image),
            resize_size=self.model.settings.resize_size,
            image_size=self.image_size,
        )

    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        return self.model.embed_images(torch.from_numpy(images).to(self._device))

    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        ids_BT, mask_BT = self.tokenizer(texts, self.model.settings.text_tower.max_pieces)
        device = self._device
        return self.model.embed_texts(torch.from_numpy(ids_BT).to(device), torch.from_numpy(mask_BT).to(device))


def centre_crop(image: NDArray[np.uint8], *, resize_size: int, image_size: int) -> NDArray[np.uint8]:
    """Resize to a square of `resize_size` and crop the central `image_size` pixels -> uint8 (S, S, 3)."""
    offset = (resize_size - image_size) // 2
    squared = resize(image, resize_size, resize_size)
    return np.ascontiguousarray(squared[offset : offset + image_size, offset : offset + image_size])


def load(source: str | Path) -> DualEncoder:
    """Load a dual encoder from a folder or by its name on the Hugging Face hub.

    The folder need not be trusted: no code in it is run, and its files are checked before a library opens them.

    Raises:
        OpenAlignError: no such folder or name, a folder without a model, a damaged model, a model that needs its own
            code, or weights that do not match the configuration.
    """
    folder = folder_of(source)
    check_folder(folder)
    if read_object(folder / CONFIG).get("model_type") != "align":
        return TransformersEncoder(folder, name=str(source), fingerprint=fingerprint_of(folder))
    model, tokenizer = _load_checked(folder), Tokenizer.load(folder)
    if tokenizer.size > model.settings.vocabulary:
        raise OpenAlignError(
            f"{folder / 'tokenizer.json'}: has {tokenizer.size:,} entries, but the model only "
            f"{model.settings.vocabulary:,}: it is the tokenizer of another model."
        )
    if torch.cuda.is_available():
        model = model.cuda()
    return AlignEncoder(model, tokenizer, name=str(source), fingerprint=fingerprint_of(folder))


def load_align(folder: Path) -> Align:
    """The ALIGN model of a folder, ours or the port's, without tokenizer.

    Raises:
        OpenAlignError: the folder's weights are missing, damaged or of another shape than its configuration.
    """
    check_folder(folder)
    return _load_checked(folder)


def _load_checked(folder: Path) -> Align:
    """The model of a folder that has passed `check_folder`."""
    stored = stored_tensors([folder / WEIGHTS])
    settings = align_settings(folder, tensors=len(stored))
    with torch.device("meta"):  # checks shapes without allocating memory
        check_shapes(_named_as_ours(stored), Align(settings).state_dict(), folder / WEIGHTS)
    model = Align(settings)
    load_weights(model, folder / WEIGHTS)
    # The weights hold the temperature, from which the learned logarithm could not be restored bit for bit.
    exact = _exact_log_temperature(read_object(folder / CONFIG), folder / CONFIG)
    if exact is not None:
        model.log_temperature.data.fill_(exact)
    return model


def align_settings(folder: Path, tensors: int | None = None) -> AlignSettings:
    """The settings of the model in an `AlignModel` folder; it has no more layers than `tensors`, if given.

    Raises:
        OpenAlignError: another kind of model, or a configuration that is not valid.
    """
    config = read_object(folder / CONFIG)
    if config.get("model_type") != "align":
        raise OpenAlignError(
            f"{folder}: holds a model of type {config.get('model_type')!r}; only ALIGN can be trained."
        )
    check_config(config, folder / CONFIG, tensors)
    return settings_from(config, str(folder))


def load_weights(model: Align, path: Path) -> None:
    """Load the weights stored at `path` into `model`.

    Raises:
        OpenAlignError: the file is missing or damaged, a tensor is missing, unknown or of another shape, or holds NaN.
    """
    check_shapes(_named_as_ours(stored_tensors([path])), model.state_dict(), path)
    with library_errors(f"{path}: damaged; take an older checkpoint"):
        state = load_file(path)
    check_finite(state, path)
    if "temperature" in state:
        if not state["temperature"].item() > 0:
            raise OpenAlignError(f"{path}: `temperature` = {state['temperature'].item():g}; it must be above 0.")
        state["temperature"] = state["temperature"].log()
    model.load_state_dict(_named_as_ours(state), strict=False)


def _named_as_ours(tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of an `AlignModel` under our names, without those that we do not use."""
    renamed = {"temperature": "log_temperature"}
    return {renamed.get(name, name): each for name, each in tensors.items() if not name.startswith(UNUSED_BY_US)}


def _exact_log_temperature(config: Mapping[str, Any], path: Path) -> float | None:
    exact = config.get("openalign", {}).get(LOG_TEMPERATURE)
    if exact is None:
        return None
    if type(exact) not in (int, float) or abs(exact) > MOST_LOG_TEMPERATURE:
        raise OpenAlignError(
            f"{path}: `openalign.{LOG_TEMPERATURE}` = {exact!r}: must be a number between "
            f"{-MOST_LOG_TEMPERATURE} and {MOST_LOG_TEMPERATURE}."
        )
    return float(exact)


def save(
    model: Align, tokenizer: Tokenizer, folder: Path, card: str, state: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write the Hugging Face folder of `model`; `card` is its README in Markdown.

    `state` replaces the model's state dict if the model is sharded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in (state or model.state_dict()).items()}
    state["temperature"] = state.pop("log_temperature").exp()
    width = model.settings.text_tower.width
    # AlignModel has BERT's pooler, which does not affect the embeddings, and warns if its weights are missing.
    state |= {f"{UNUSED_BY_US}dense.weight": torch.zeros(width, width), f"{UNUSED_BY_US}dense.bias": torch.zeros(width)}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    config = config_from(model.settings)
    config["openalign"][LOG_TEMPERATURE] = float(model.log_temperature.detach())
    _write_json(folder / CONFIG, config)
    _write_json(folder / PREPROCESSOR, preprocessor_from(model.settings))
    tokenizer.save(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
