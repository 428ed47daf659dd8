"""The weights of an `AlignModel` folder in our model: names, files and the temperature."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file

from openalign.data.files.library_errors import library_errors
from openalign.errors import OpenAlignError
from openalign.model.align import Align
from openalign.model.weights import check_finite, check_shapes, stored_tensors

LOG_TEMPERATURE = "log_temperature"
MOST_LOG_TEMPERATURE = 20
"""Largest absolute value; the temperatures 0.01 and 0.02 of CLIP and ALIGN are -4.6 and -3.9."""
_ROUNDING = 1e-5
"""Largest difference of a logarithm that is due to storing the temperature in single precision."""
T = TypeVar("T")
UNUSED_BY_US = "text_model.pooler."  # of AlignModel; the paper projects [CLS] itself
_COUNTS = "text_model.embeddings.position_ids"  # 0, 1, 2 ..., in files of transformers before 4.31

_log = logging.getLogger(__name__)


def load_weights(model: Align, *files: Path) -> None:
    """Load the weights stored in `files` into `model`.

    Raises:
        OpenAlignError: a file is missing or damaged, a tensor is missing, unknown or of another shape, or holds NaN.
    """
    check_shapes(named_as_ours(stored_tensors(files)), model.state_dict(), files[0])
    state: dict[str, torch.Tensor] = {}
    for file in files:
        with library_errors(f"{file}: damaged; take an older checkpoint"):
            state |= load_file(file)
    check_finite(state, files[0])
    if "temperature" in state:
        temperature = state["temperature"].float()  # the logarithm of a bfloat16 would be rounded once more
        if not temperature.item() > 0:
            raise OpenAlignError(f"{files[0]}: `temperature` = {temperature.item():g}; it must be above 0.")
        state["temperature"] = temperature.log()
    model.load_state_dict(named_as_ours(state), strict=False)


def named_as_ours(tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of an `AlignModel` under our names, without those that we do not use."""
    renamed = {"temperature": "log_temperature"}
    return {
        renamed.get(name, name): each
        for name, each in tensors.items()
        if not name.startswith(UNUSED_BY_US) and name != _COUNTS
    }


def restore_log_temperature(model: Align, config: Mapping[str, Any], path: Path) -> None:
    """The learned logarithm bit for bit: it cannot be restored from the temperature, which is what the weights hold.

    A value in `config.json` that is not the logarithm of the weights' temperature is of another model, and not taken.
    """
    exact = _exact_log_temperature(config, path)
    if exact is None:
        return
    held = float(model.log_temperature.detach())
    if abs(exact - held) > _ROUNDING:
        _log.warning(
            "%s: `openalign.%s` = %r is not that of the weights, whose temperature is %.6g; the weights count.",
            path, LOG_TEMPERATURE, exact, math.exp(held),
        )  # fmt: skip
        return
    model.log_temperature.data.fill_(exact)


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
