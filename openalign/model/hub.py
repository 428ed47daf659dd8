"""Reading and writing Hugging Face folders: ours are `AlignModel` folders; any dual encoder can be loaded.

Our folder has `config.json` (with a section `openalign` for settings that the format lacks), `model.safetensors` with
the names of `AlignModel`, `tokenizer.json`, `preprocessor_config.json` and a model card.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from openalign.data.files.json_files import read_object
from openalign.data.files.library_errors import library_errors
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model.align import Align, AlignSettings
from openalign.model.align_encoder import AlignEncoder
from openalign.model.align_weights import (
    LOG_TEMPERATURE,
    UNUSED_BY_US,
    load_weights,
    named_as_ours,
    restore_log_temperature,
)
from openalign.model.config import config_from, preprocessor_from, settings_from
from openalign.model.dual_encoder import DualEncoder
from openalign.model.folder import CONFIG, PREPROCESSOR, WEIGHTS, check_folder, check_kinds, fingerprint_of, folder_of
from openalign.model.foreign.align_port import (
    pieces_kept,
    port_sizes,
    prepares_as_we_do,
    resize_as_pillow,
    setting_unlike_ours,
)
from openalign.model.foreign.transformers_encoder import TransformersEncoder
from openalign.model.limits import check_config
from openalign.model.pretrained import load_tokenizer
from openalign.model.weights import check_shapes, stored_tensors, weight_files

__all__ = [
    "WEIGHTS",
    "AlignEncoder",
    "align_settings",
    "align_tokenizer",
    "fingerprint_of",
    "folder_of",
    "load",
    "load_align",
    "load_weights",
    "save",
]


def load(source: str | Path) -> DualEncoder:
    """Load a dual encoder from a folder or by its name on the Hugging Face hub.

    The folder need not be trusted: no code in it is run, and its files are checked before a library opens them.

    Raises:
        OpenAlignError: no such folder or name, a folder without a model, a damaged model, a model that needs its own
            code, weights that do not match the configuration, or an architecture that is no dual encoder.
    """
    folder = folder_of(source)
    check_folder(folder)
    config = read_object(folder / CONFIG)
    if config.get("model_type") != "align" or ("openalign" not in config and _only_transformers_runs(config, folder)):
        return TransformersEncoder(folder, name=str(source), fingerprint=fingerprint_of(folder))
    model, tokenizer = _load_checked(folder), align_tokenizer(folder)
    if tokenizer.size > model.settings.vocabulary:
        raise OpenAlignError(
            f"{folder}: its tokenizer has {tokenizer.size:,} entries, but the model only "
            f"{model.settings.vocabulary:,}: it is the tokenizer of another model."
        )
    if torch.cuda.is_available():
        model = model.cuda()
    as_port: dict[str, Any] = {}
    if "openalign" not in config:
        as_port = {"max_pieces": pieces_kept(folder, model.settings), "resized": resize_as_pillow}
    return AlignEncoder(model, tokenizer, name=str(source), fingerprint=fingerprint_of(folder), **as_port)


def _only_transformers_runs(config: Mapping[str, Any], folder: Path) -> bool:
    """Whether a folder of transformers' own ALIGN asks for what our model cannot do."""
    settings = _settings(config, folder)
    return bool(setting_unlike_ours(config, settings, str(folder))) or not prepares_as_we_do(folder, settings)


def load_align(folder: Path) -> Align:
    """The ALIGN model of a folder, ours or the port's, without tokenizer.

    Raises:
        OpenAlignError: the folder's weights are missing, damaged or of another shape than its configuration, which may
            also ask for something that only transformers' own model does.
    """
    check_folder(folder)
    return _load_checked(folder)


def align_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of an ALIGN folder, or of a file.

    That of the port is what transformers makes of it: older releases wrote a vocab.txt, and where there is a
    `tokenizer.json`, some of its settings are those of `tokenizer_config.json` instead.

    Raises:
        OpenAlignError: there is none, or it is damaged or beyond limits.
    """
    names = [name for name in ("tokenizer.json", "vocab.txt") if (folder / name).exists()]
    if not names or not (folder / CONFIG).exists() or "openalign" in read_object(folder / CONFIG):
        return Tokenizer.load(folder)
    check_kinds(folder)
    with library_errors(f"{folder / names[0]} is not a tokenizer"):
        return Tokenizer(load_tokenizer(folder).backend_tokenizer)


def _load_checked(folder: Path) -> Align:
    """The model of a folder that has passed `check_folder`."""
    files = weight_files(folder)
    stored = stored_tensors(files)
    settings = align_settings(folder, tensors=len(stored))
    with torch.device("meta"):  # checks shapes without allocating memory
        check_shapes(named_as_ours(stored), Align(settings).state_dict(), files[0])
    model = Align(settings)
    load_weights(model, *files)
    restore_log_temperature(model, read_object(folder / CONFIG), folder / CONFIG)
    return model


def align_settings(folder: Path, tensors: int | None = None) -> AlignSettings:
    """The settings of the model in an `AlignModel` folder; it has no more layers than `tensors`, if given.

    Raises:
        OpenAlignError: another kind of model, a configuration that is not valid, or one that only transformers' own
            model fulfils.
    """
    config = read_object(folder / CONFIG)
    if config.get("model_type") != "align":
        raise OpenAlignError(
            f"{folder}: holds a model of type {config.get('model_type')!r}; only ALIGN can be trained."
        )
    check_config(config, folder / CONFIG, tensors)
    settings = _settings(config, folder)
    if unlike := setting_unlike_ours(config, settings, str(folder)):
        raise OpenAlignError(
            f"{folder / CONFIG}: {unlike}: transformers' AlignModel has this setting, and the ALIGN of openalign does "
            "not; without the section `openalign`, the folder can be evaluated and searched with, but not trained."
        )
    if "openalign" not in config and not prepares_as_we_do(folder, settings):
        raise OpenAlignError(
            f"{folder}: its image processor gives other pixels than that of openalign's ALIGN (squares by bilinear "
            "resizing, cropped, from -1 to 1); the folder can be evaluated and searched with, but not trained."
        )
    return settings


def _settings(config: Mapping[str, Any], folder: Path) -> AlignSettings:
    check_config(dict(config), folder / CONFIG)
    settings = settings_from(dict(config), str(folder))
    if "openalign" in config:
        return settings
    crop, resized = port_sizes(folder)
    return settings.model_copy(update={"image_size": crop, "resize_size": resized})


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
    tokenizer.save(folder, model.settings.text_tower.max_pieces)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
