"""To and from Hugging Face folders: ours are `AlignModel` folders, and any dual encoder there can be searched with.

Our folder holds `config.json` (with a section `openalign` for what that format has no word for), `model.safetensors`
with the names of `AlignModel`, `tokenizer.json`, `preprocessor_config.json` and a model card.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from openalign.data.images import resize
from openalign.data.tokenizer import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model.align import Align, AlignSettings
from openalign.model.config import config_from, preprocessor_from, settings_from
from openalign.model.dual_encoder import DualEncoder, ImageInput, read_image
from openalign.model.transformers_encoder import TransformersEncoder

WEIGHTS = "model.safetensors"
LOG_TEMPERATURE = "log_temperature"
UNUSED_BY_US = "text_model.pooler."  # of AlignModel; the paper projects [CLS] itself


class AlignEncoder(DualEncoder):
    """Our model with its tokenizer and its way of cutting images."""

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
        """Resize to a square and cut the centre (paper section 5) -> uint8 (S, S, 3)."""
        return centre_crop(
            read_image(image, min_side=self.model.settings.resize_size),
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
    """Squash to a square of `resize_size` and cut the middle `image_size` pixels -> uint8 (S, S, 3)."""
    offset = (resize_size - image_size) // 2
    squared = resize(image, resize_size, resize_size)
    return np.ascontiguousarray(squared[offset : offset + image_size, offset : offset + image_size])


def load(source: str | Path) -> DualEncoder:
    """Load a dual encoder from a folder or by its name on the Hugging Face hub.

    Raises:
        OpenAlignError: no such folder or name, a folder without a model, weights that do not fit the configuration.
    """
    folder = folder_of(source)
    settings = _read_json(folder / "config.json")
    fingerprint = fingerprint_of(folder)
    if settings.get("model_type") != "align":
        try:
            return TransformersEncoder(folder, name=str(source), fingerprint=fingerprint)
        except (OSError, ValueError, KeyError) as error:
            raise OpenAlignError(f"{source}: cannot be loaded as a dual encoder: {error}") from error
    model = load_align(folder)
    if torch.cuda.is_available():
        model = model.cuda()
    return AlignEncoder(model, Tokenizer.load(folder), name=str(source), fingerprint=fingerprint)


def load_align(folder: Path) -> Align:
    """The bare model of an `AlignModel` folder, ours or the port's.

    Raises:
        OpenAlignError: the folder's weights are missing, damaged or of another shape than its configuration.
    """
    model = Align(align_settings(folder))
    load_weights(model, folder / WEIGHTS)
    # The weights hold the temperature, of which we learn the logarithm: taken back from there, it would lose bits.
    exact = _read_json(folder / "config.json").get("openalign", {}).get(LOG_TEMPERATURE)
    if exact is not None:
        model.log_temperature.data.fill_(exact)
    return model


def align_settings(folder: Path) -> AlignSettings:
    """The settings of the model in an `AlignModel` folder. Raises `OpenAlignError` for another kind of model."""
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "align":
        raise OpenAlignError(
            f"{folder}: holds a model of type {config.get('model_type')!r}; only ALIGN can be trained."
        )
    return settings_from(config, str(folder))


def load_weights(model: Align, path: Path) -> None:
    """Fill `model` with the weights stored at `path`.

    Raises:
        OpenAlignError: the file is missing or damaged, or a tensor is missing, unknown or of another shape.
    """
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise OpenAlignError(f"{path}: no such file; the folder holds no weights.") from None
    except (OSError, SafetensorError) as error:
        raise OpenAlignError(f"{path}: damaged ({error}); take an older checkpoint.") from None
    state = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED_BY_US)}
    if "temperature" in state:
        state["log_temperature"] = state.pop("temperature").log()
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in state and not name.endswith("num_batches_tracked"):
            raise OpenAlignError(f"{path}: holds no tensor `{name}`: it is a model of another shape.")
        if name in state and state[name].shape != tensor.shape:
            raise OpenAlignError(
                f"{path}: `{name}` has shape {tuple(state[name].shape)}, but the settings ask for "
                f"{tuple(tensor.shape)}: it is a model of another shape."
            )
    if unknown := sorted(set(state) - set(own)):
        raise OpenAlignError(
            f"{path}: holds `{unknown[0]}`, which the settings do not: it is a model of another shape."
        )
    model.load_state_dict(state, strict=False)


def save(
    model: Align, tokenizer: Tokenizer, folder: Path, card: str, state: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write the Hugging Face folder of `model`; `card` is its README in Markdown.

    `state` stands for the model's own state dict, where that is cut across processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in (state or model.state_dict()).items()}
    state["temperature"] = state.pop("log_temperature").exp()
    width = model.settings.text_tower.width
    # AlignModel expects BERT's pooler, which takes no part in the embeddings; without it, it would warn.
    state |= {f"{UNUSED_BY_US}dense.weight": torch.zeros(width, width), f"{UNUSED_BY_US}dense.bias": torch.zeros(width)}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    config = config_from(model.settings)
    config["openalign"][LOG_TEMPERATURE] = float(model.log_temperature.detach())
    _write_json(folder / "config.json", config)
    _write_json(folder / "preprocessor_config.json", preprocessor_from(model.settings))
    tokenizer.save(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")


def fingerprint_of(folder: Path) -> str:
    """Digest of all that shapes the embeddings: configuration, weights, vocabulary, preprocessing."""
    digest = hashlib.sha256()
    names = ("config.json", "preprocessor_config.json", "tokenizer.json")
    for path in [*(folder / name for name in names), *sorted(folder.glob("*.safetensors"))]:
        if path.exists():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def folder_of(source: str | Path) -> Path:
    """The folder of a model: as given, its RUN/model, or the local copy of one on the Hugging Face hub.

    Raises:
        OpenAlignError: no such folder or name, or no model in it.
    """
    folder = Path(source)
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return folder
        if (folder / "model" / "config.json").is_file():  # a RUN folder of `openalign train`
            return folder / "model"
        raise OpenAlignError(f"{source}: no config.json here, so it is no model folder; a run's model is RUN/model.")
    try:
        return Path(snapshot_download(str(source), allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise OpenAlignError(
            f"{source}: neither a folder nor a model that the Hugging Face hub gave ({type(error).__name__})."
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OpenAlignError(f"{path}: cannot be read as JSON ({error}).") from None
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
