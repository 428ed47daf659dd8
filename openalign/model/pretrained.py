"""All calls of transformers' `from_pretrained`: on checked folders, without network access or their own code."""

import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import utils as hub_utils
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer
from transformers.utils import logging as transformers_logging

from openalign.data.files.json_files import read_object
from openalign.data.files.library_errors import library_errors
from openalign.data.tokenizer.limits import check_sentencepiece, check_tokenizer
from openalign.errors import OpenAlignError
from openalign.model.folder import CONFIG, PREPROCESSOR, PROCESSOR
from openalign.model.limits import check_config, check_preprocessor
from openalign.model.weights import StoredTensor, check_finite, stored_tensors, weight_files

_LOCAL_WITHOUT_CODE = {"trust_remote_code": False, "local_files_only": True}
TOKENIZER_SETTINGS = "tokenizer_config.json"


def model_class(kind: Any, folder: Path) -> type:
    """The class that `kind`, an auto class of transformers, builds for a folder that has passed `check_folder`.

    Raises:
        OpenAlignError: the configuration exceeds the limits, or transformers has no such class.
    """
    content = read_object(folder / CONFIG)
    check_config(content, folder / CONFIG)
    with library_errors(f"{folder}: cannot be loaded by transformers"), _quietly():
        config: Any = AutoConfig.from_pretrained(folder, **_LOCAL_WITHOUT_CODE)
    found = kind._model_mapping.get(type(config), None)
    if found is None:
        raise OpenAlignError(
            f"{folder}: transformers has no model of the type `{content.get('model_type')}` for {kind.__name__}."
        )
    chosen: type = found[0] if isinstance(found, tuple) else found
    return chosen


def load_model(kind: Any, folder: Path) -> Any:
    """The model of a folder that has passed `check_folder`, in float32, in evaluation mode.

    Args:
        kind: an auto class of transformers, such as `AutoModel`.
        folder: holds `config.json` and `model.safetensors`, or an index of such files.

    Raises:
        OpenAlignError: the configuration exceeds the limits, or needs more tensors than the weight files have; weights
            are missing, damaged, of another shape, or NaN.
    """
    files = weight_files(folder)
    stored = stored_tensors(files)
    check_config(read_object(folder / CONFIG), folder / CONFIG, tensors=len(stored))
    with library_errors(f"{folder}: cannot be loaded by transformers"), _quietly():
        config: Any = AutoConfig.from_pretrained(folder, **_LOCAL_WITHOUT_CODE)
        with torch.device("meta"):  # without allocating memory
            _check_parameters(kind.from_config(config, trust_remote_code=False), stored, folder)
        model, report = kind.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
            **_LOCAL_WITHOUT_CODE,
        )
    _check_complete(model, report, files[0])
    check_finite(model.state_dict(), files[0])
    return model.eval()


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide warnings of transformers, which concern what is checked here, and its progress bars.

    A program around us may want both for its own models.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with _without_bars():
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Hide the progress bars of transformers, which a program around us may want for its own models."""
    if not transformers_logging.is_progress_bar_enabled():
        yield
        return
    hub: Any = hub_utils  # whose bars transformers switches with its own
    hub_was_silent = hub.are_progress_bars_disabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if hub_was_silent:
            hub.disable_progress_bars()


def _check_parameters(model: torch.nn.Module, stored: Mapping[str, StoredTensor], folder: Path) -> None:
    """Tied tensors may be missing from the files; more than that would be initialised at random."""
    asked, held = sum(each.numel() for each in model.parameters()), sum(each.numbers for each in stored.values())
    if asked > 2 * held:
        raise OpenAlignError(
            f"{folder / CONFIG}: asks for {asked:,} parameters, but the weight files hold only {held:,}."
        )


def _check_complete(model: torch.nn.Module, report: Mapping[str, Any], path: Path) -> None:
    """Refuse a model with tensors that transformers initialised at random, or that is smaller than the stored one."""
    for name, stored, own in sorted(report["mismatched_keys"]):
        raise OpenAlignError(
            f"{path}: `{name}` has shape {tuple(stored)}, but the configuration asks for {tuple(own)}: it is a model "
            "of another shape."
        )
    if missing := sorted(report["missing_keys"]):
        others = f" and {len(missing) - 1:,} others" if len(missing) > 1 else ""
        raise OpenAlignError(
            f"{path}: holds no tensor `{missing[0]}`{others}, which transformers would fill at random: these are the "
            f"weights of a model of another shape or kind than {type(model).__name__}."
        )
    modules = dict(model.named_modules())
    own = {name for name, _ in model.named_parameters()}
    for name in sorted(report["unexpected_keys"]):
        if _other_layer(name, own) or _is_of_a_layer(name, modules):
            raise OpenAlignError(
                f"{path}: holds `{name}`, for which the model of config.json has no place although it has the layer "
                "or the first of its kind: the configuration is of another model."
            )


def _other_layer(name: str, own: Container[str]) -> bool:
    """Whether the model has a tensor of this name but for the number of the layer, which is 0."""
    numbers = re.finditer(r"(?<=\.)[1-9][0-9]*(?=\.)", name)
    return any(f"{name[: number.start()]}0{name[number.end() :]}" in own for number in numbers)


def _is_of_a_layer(name: str, modules: Mapping[str, torch.nn.Module]) -> bool:
    """Whether the tensor would be a parameter, such as a bias, of a layer that has others."""
    layer = modules.get(name.rpartition(".")[0])
    return layer is not None and not list(layer.children()) and bool(list(layer.parameters()))


def has_processor(folder: Path) -> bool:
    """Whether the folder says how images are prepared: releases of transformers from 5 on write `processor_config.json`
    for a whole processor, older ones `preprocessor_config.json`."""
    return any((folder / name).exists() for name in (PREPROCESSOR, PROCESSOR))


def load_processor(folder: Path) -> Any:
    """The image processor of a folder that has passed `check_folder`.

    Raises:
        OpenAlignError: there is none, or its sizes are not valid.
    """
    for name in (PREPROCESSOR, PROCESSOR):
        if (folder / name).exists():
            check_preprocessor(read_object(folder / name), folder / name)
    with library_errors(f"{folder}: its image processor cannot be loaded by transformers"), _quietly():
        return AutoImageProcessor.from_pretrained(folder, **_LOCAL_WITHOUT_CODE)  # type: ignore[no-untyped-call]


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder that has passed `check_folder`.

    Raises:
        OpenAlignError: there is none, it has no words, or it exceeds the limits of `check_tokenizer`.
    """
    _check_tokenizer_files(folder)
    with library_errors(f"{folder}: its tokenizer cannot be loaded by transformers"), _quietly():
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL_WITHOUT_CODE)
    # Without a file of words transformers makes some tokenizers up (CLIP's), with which all texts are the same.
    words = tokenizer.get_vocab().keys() - {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    if len(words) <= 1:  # XLM-RoBERTa's has its mark of a blank
        raise OpenAlignError(
            f"{folder}: its tokenizer has no words, so all texts would be the same: fetch the model's tokenizer.json, "
            "or vocab.json and merges.txt, into the folder."
        )
    return tokenizer


def _check_tokenizer_files(folder: Path) -> None:
    if (folder / "tokenizer.json").exists():
        check_tokenizer(folder / "tokenizer.json")
    for model in sorted(folder.glob("*.model")):
        check_sentencepiece(model)
    path = folder / TOKENIZER_SETTINGS
    settings = read_object(path) if path.exists() else {}
    if settings.get("fast_tokenizer_files"):
        raise OpenAlignError(f"{path}: `fast_tokenizer_files` is not supported; only tokenizer.json is read.")
    if settings.get("tokenizer_class") == "SiglipTokenizer" and not (folder / "spiece.model").exists():
        raise OpenAlignError(f"{path}: a SiglipTokenizer needs the model's `spiece.model`, which is not in the folder.")
