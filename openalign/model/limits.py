"""Limits on the sizes in a model's configuration, checked before the model is built.

The limits are above all published models. They bound time and memory for every family of models: transformers itself
would build ten million layers, or a vocabulary of 2^40 entries.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openalign.data.tokenizer.wordpiece import MOST_ENTRIES
from openalign.errors import OpenAlignError

MOST_PIECES = 2**20
"""Longest text in word pieces."""
MOST_WIDTH = 2**18
"""Width of a layer (PaLM's feed-forward layers have 73,728)."""
MOST_LAYERS = 1000
"""Layers, blocks or stages of a tower (ViT-22B has 48, EfficientNet-L2 88 blocks)."""
MOST_SIDE = 4096
"""Side of an image in pixels (EfficientNet-L2 sees 800)."""
MOST_MULTIPLIER = 32
"""Width and depth multipliers of an EfficientNet (L2: 5.3)."""

_LARGEST_NUMBER = 2**31 - 1
_MOST_ITEMS = 4096
_SIZES = {
    "vocab_size": MOST_ENTRIES,
    "hidden_size": MOST_WIDTH,
    "intermediate_size": MOST_WIDTH,
    "projection_dim": MOST_WIDTH,
    "num_hidden_layers": MOST_LAYERS,
    "num_attention_heads": MOST_WIDTH,
    "num_channels": MOST_WIDTH,
    "max_position_embeddings": MOST_PIECES,
    "image_size": MOST_SIDE,
    "patch_size": MOST_SIDE,
}
"""Keys whose values are integers from 1 to a limit, or lists of them."""
_PATTERNS = (
    (re.compile(r"(layers|depths?|repeats|blocks|stages)$"), MOST_LAYERS),
    (re.compile(r"(coefficient|multiplier)$"), MOST_MULTIPLIER),
    (re.compile(r"^(num|n)_"), MOST_ENTRIES),
    (re.compile(r"(_size|_dim|width|channels|dims|sizes)$"), MOST_ENTRIES),
)
"""Other keys by suffix or prefix, as the models of transformers name them."""
_SIDES = {"size", "crop_size", "pad_size", "patch_size"}
_BUILT_IN = (None, "eager", "sdpa")
_IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
_FOREIGN_WEIGHTS = {"transformers_weights", "quantization_config"}
_CLASSES = {"id2label", "label2id"}
"""Objects whose keys are class names or numbers."""


def check_config(config: dict[str, Any], path: Path, tensors: int | None = None) -> None:
    """Check the numbers of a `config.json` and of its towers, and that it needs no other repository.

    Args:
        config: the parsed file.
        path: its path, for error messages.
        tensors: number of tensors in the folder's weight files, if known; a tower has no more layers than that.

    Raises:
        OpenAlignError: the first key whose value exceeds its limit.
    """
    for keys, value in values_of(config):
        _check_number(keys[-1], value, f"{path}: `{'.'.join(keys)}`")
        if keys[-1] == "num_hidden_layers" and tensors is not None and (layers := _sum(value)) > tensors:
            raise OpenAlignError(
                f"{path}: `{'.'.join(keys)}` = {layers:,}: the weight files hold only {tensors:,} tensors."
            )
        _check_needs_nothing_else(keys, value, path)


def _check_needs_nothing_else(keys: tuple[str, ...], value: Any, path: Path) -> None:
    where = f"{path}: `{'.'.join(keys)}`"
    if value is not None and not _FOREIGN_WEIGHTS.isdisjoint(keys):
        raise OpenAlignError(f"{where} is not supported: openalign reads unquantized weights in model.safetensors.")
    if any(key.endswith(_IMPLEMENTATIONS) for key in keys) and value not in _BUILT_IN:
        raise OpenAlignError(f"{where} = {value!r}: transformers would fetch code for it; delete the key.")
    if keys[-1] == "use_pretrained_backbone" and value:
        raise OpenAlignError(f"{where}: the weights of another model would be fetched; they must be in this folder.")


def check_preprocessor(settings: dict[str, Any], path: Path) -> None:
    """Check the sizes and numbers of a `preprocessor_config.json`.

    Raises:
        OpenAlignError: a side is not from 1 to `MOST_SIDE` pixels, the crop is larger than the resized image, or a
            standard deviation is so small or large that pixels overflow.
    """
    for keys, value in values_of(settings):
        where = f"{path}: `{'.'.join(keys)}`"
        _check_number(keys[-1], value, where)
        if value is not None and not _SIDES.isdisjoint(keys):
            for side in value if isinstance(value, list) else [value]:
                _check_size(side, MOST_SIDE, where)
        if keys[-1] == "image_std":
            _check_deviations(value, where)
    nested = settings.get("image_processor")
    _check_crop(nested if isinstance(nested, dict) else settings, path)


def _check_deviations(value: Any, where: str) -> None:
    for deviation in value if isinstance(value, list) else [value]:
        if isinstance(deviation, int | float) and not 1e-6 <= deviation <= 1e6:
            raise OpenAlignError(f"{where} = {deviation!r}: must be between 0.000001 and 1,000,000.")


def _check_crop(settings: dict[str, Any], path: Path) -> None:
    resized, crop = (_shortest_side(settings.get(key)) for key in ("size", "crop_size"))
    cuts = settings.get("do_center_crop", True) and settings.get("do_resize", True)
    if cuts and resized is not None and crop is not None and crop > resized:
        raise OpenAlignError(f"{path}: `crop_size` = {crop} is larger than the resized image, `size` = {resized}.")


def _shortest_side(size: Any) -> int | None:
    """The shorter side of `{"height": h, "width": w}`, `{"shortest_edge": s}` or s; None for other forms."""
    if isinstance(size, dict):
        sides = [size[key] for key in ("height", "width", "shortest_edge") if isinstance(size.get(key), int)]
        return min(sides, default=None)
    return size if isinstance(size, int) else None


def values_of(content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All values in `content` except objects, with their path of keys; lists are searched as well."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((key,), value) for key, value in content.items()]
    while waiting:
        keys, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*keys, key), item) for key, item in value.items() if keys[-1] not in _CLASSES]
            continue
        yield keys, value
        if isinstance(value, list):
            waiting += [(keys, item) for item in value if isinstance(item, dict | list)]


def _check_number(name: str, value: Any, where: str) -> None:
    most = _SIZES.get(name)
    if most is not None and value is not None:
        for each in value if isinstance(value, list) and value else [value]:
            _check_size(each, most, where)
        return
    limit = next((limit for pattern, limit in _PATTERNS if pattern.search(name)), _LARGEST_NUMBER)
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) > _MOST_ITEMS:
        raise OpenAlignError(f"{where} is a list of {len(numbers):,}; at most {_MOST_ITEMS:,} are read.")
    if limit == MOST_LAYERS and _sum(numbers) > limit:
        raise OpenAlignError(f"{where} asks for {_sum(numbers):,}; at most {limit:,} are built.")
    for number in numbers:
        if isinstance(number, int) and abs(number) > limit:
            raise OpenAlignError(f"{where} = {number:,}: at most {limit:,} is read.")
        if isinstance(number, float) and limit != _LARGEST_NUMBER and abs(number) > limit:
            raise OpenAlignError(f"{where} = {number:g}: at most {limit:,} is read.")


def _sum(numbers: Any) -> int:
    return sum(each for each in (numbers if isinstance(numbers, list) else [numbers]) if isinstance(each, int))


def _check_size(value: Any, most: int, where: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        shown = f"{value:,}" if type(value) is int else repr(value)[:60]
        raise OpenAlignError(f"{where} = {shown}: must be a whole number from 1 to {most:,}.")
