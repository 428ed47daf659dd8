"""Checkpoints: a Hugging Face folder and the training state beside it, whole or absent, never half there.

RUN/checkpoints/step-00001000/            config.json, model.safetensors, tokenizer.json, README.md ...
RUN/checkpoints/step-00001000/training_state/   optimizer.safetensors, state.json
RUN/model/                                the newest checkpoint without its training state
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from openalign.checksums import CHECKSUMS
from openalign.data.tokenizer import Tokenizer
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.model import hub
from openalign.model.align import Align
from openalign.train.parallel import ALONE, Processes, whole
from openalign.train.recipe import Recipe, write_recipe

STATE = "training_state"


def checkpoints_of(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*"))


def save_checkpoint(
    run: Path,
    model: Align,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    recipe: Recipe,
    step: int,
    loss: float,
    processes: Processes = ALONE,
) -> Path:
    """Write the state after `step` steps, point RUN/model at it, and forget the oldest ones.

    Every process calls it, since each may hold a part of the state; the first one writes.

    Raises:
        OpenAlignError: the disk is full or cannot be written; what was there before is untouched.
    """
    target = run / "checkpoints" / f"step-{step:08d}"
    weights = {name: whole(tensor) for name, tensor in model.state_dict().items()}
    tensors, state = _training_state(model, optimizer, step)
    if not processes.first:
        return target
    try:
        with whole_folder(target) as folder:
            hub.save(model, tokenizer, folder, card=model_card(recipe, step, loss), state=weights)
            write_recipe(recipe, folder / "recipe.toml")
            _write_state(folder / STATE, tensors, state)
        with whole_folder(run / "model") as folder:
            _link_files(target, folder)
    except (OSError, SafetensorError) as error:
        raise OpenAlignError(
            f"{target}: the checkpoint could not be written ({error}); make room and resume."
        ) from error
    for old in checkpoints_of(run)[: -recipe.keep_checkpoints]:
        shutil.rmtree(old)
    return target


def load_checkpoint_weights(folder: Path, model: Align) -> None:
    """Fill a model that is not yet cut across processes with the weights of a checkpoint.

    Raises:
        OpenAlignError: the checkpoint is of another shape than the recipe, or damaged.
    """
    hub.load_weights(model, folder / hub.WEIGHTS)


def restore_training_state(folder: Path, model: Align, optimizer: torch.optim.Optimizer) -> int:
    """Give the optimizer its moments back, bit for bit; returns the number of steps that were done.

    Raises:
        OpenAlignError: the training state is missing or damaged.
    """
    try:
        tensors = load_file(folder / STATE / "optimizer.safetensors")
        state = json.loads((folder / STATE / "state.json").read_text(encoding="utf-8"))
        for name, parameter in model.named_parameters():
            moments: dict[str, Any] = {
                key: _laid_out_like(parameter, tensors[f"{key}/{name}"]) for key in state["tensors"].get(name, ())
            }
            moments |= state["numbers"].get(name, {})
            if moments:
                optimizer.state[parameter] = moments
        # The folder holds the temperature itself; its logarithm would not come back bit for bit.
        with torch.no_grad():
            model.log_temperature.copy_(tensors["log_temperature"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise OpenAlignError(f"{folder}: its training state is damaged ({error}); resume from an older one.") from error
    return int(state["step"])


def model_card(recipe: Recipe, step: int, loss: float) -> str:
    """The README of a checkpoint: what it is, how it was made, how to use it."""
    start = f"fine-tuned from {recipe.start_from}" if recipe.start_from else "trained from scratch"
    return f"""---
library_name: openalign
pipeline_tag: zero-shot-image-classification
tags: [align, dual-encoder, image-text]
---

# ALIGN dual encoder after {step:,} of {recipe.steps:,} steps

EfficientNet and BERT towers, {start} on images and their alt-texts with openalign.
Loss at this step: {loss:.3f}.

```python
import openalign

model = openalign.load("this folder")
model.embed_texts(["a red apple"])
```

{_in_transformers(recipe)}

The recipe, as it was run, is `recipe.toml`.
"""


def _in_transformers(recipe: Recipe) -> str:
    """What the folder is worth to `AlignModel` there."""
    if recipe.embedding_width not in (None, recipe.image_tower.width):
        return (
            "A linear layer follows the image tower. The `AlignModel` of transformers has none and cannot use this\n"
            "folder; `openalign.load` does."
        )
    if recipe.image_tower.padding == "same":
        return (
            'The image tower pads as TensorFlow does (`padding = "same"`). The `AlignModel` of transformers pads\n'
            "otherwise: it opens this folder but does not give equal numbers; `openalign.load` does."
        )
    return "The `AlignModel` of transformers opens this folder and gives equal numbers."


def _training_state(
    model: Align, optimizer: torch.optim.Optimizer, step: int
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The optimizer's tensors as `MOMENT/PARAMETER`, and the rest as JSON."""
    tensors = {"log_temperature": model.log_temperature.detach()}
    names: dict[str, list[str]] = {}
    numbers: dict[str, dict[str, float]] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                tensors[f"{key}/{name}"] = whole(value).contiguous()
                names.setdefault(name, []).append(key)
            elif value is not None:  # SGD's momentum before its first step
                numbers.setdefault(name, {})[key] = value
    return tensors, {"step": step, "tensors": names, "numbers": numbers}


def _write_state(folder: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    folder.mkdir()
    save_file(tensors, folder / "optimizer.safetensors")
    (folder / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")


def _laid_out_like(parameter: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
    """Strides as the optimizer made them: sums over another layout would round otherwise, and bits would differ."""
    if stored.shape != parameter.shape:
        return stored
    if isinstance(parameter, DTensor):
        return distribute_tensor(stored.to(parameter.device), parameter.device_mesh, parameter.placements)
    return torch.empty_like(parameter).copy_(stored)


def _link_files(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.is_file() and file.name != CHECKSUMS:
            try:
                os.link(file, target / file.name)
            except OSError:  # a file system without hard links
                shutil.copy2(file, target / file.name)
