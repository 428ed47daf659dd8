"""Checkpoints: a Hugging Face folder with the training state, written atomically.

RUN/checkpoints/step-00001000/            config.json, model.safetensors, tokenizer.json, README.md ...
RUN/checkpoints/step-00001000/training_state/   optimizer.safetensors, state.json
RUN/model/                                the newest checkpoint without its training state
"""

import os
import re
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError

from openalign.checksums import CHECKSUMS, check_files, read_checksums
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.model import hub
from openalign.model.align import Align
from openalign.training.optimization.processes import ALONE, Processes
from openalign.training.optimization.replica import full_tensor
from openalign.training.recipe.recipe import Recipe, write_recipe
from openalign.training.run_folder.identity import Identity
from openalign.training.run_folder.training_state import collect_state, write_state

_NAME = re.compile(r"step-(\d{8,})")


def checkpoints_of(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in (run / "checkpoints").glob("step-*") if path.is_dir())
    return [path for _, path in sorted((int(name[1]), path) for name, path in found if name is not None)]


def save_checkpoint(
    run: Path,
    model: Align,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    recipe: Recipe,
    step: int,
    loss: float,
    processes: Processes = ALONE,
    identity: Identity | None = None,
) -> Path:
    """Write the state after `step` steps, make it RUN/model, and remove the oldest checkpoints.

    Every process calls this, since each may hold a shard of the state; the first one writes.

    Raises:
        OpenAlignError: the disk is full or cannot be written; older checkpoints are unchanged.
    """
    target = run / "checkpoints" / f"step-{step:08d}"
    weights = {name: full_tensor(tensor) for name, tensor in model.state_dict().items()}
    tensors, state = collect_state(model, optimizer, step, identity)

    def write() -> None:
        with whole_folder(target) as folder:
            hub.save(model, tokenizer, folder, card=model_card(recipe, step, loss), state=weights)
            write_recipe(recipe, folder / "recipe.toml")
            write_state(folder, tensors, state)
        put_model(run, target)

    processes.from_first(lambda: _write_or_raise(write, target))
    if processes.first:
        _remove(checkpoints_of(run)[: -recipe.keep_checkpoints])
    return target


def put_model(run: Path, checkpoint: Path) -> None:
    """Make RUN/model the model of this checkpoint, by hard links where the file system has them.

    Files there that no checkpoint has stay: an export, an index, whatever a user keeps beside the weights.

    Raises:
        OSError: the disk is full or cannot be written; an older RUN/model is unchanged.
    """
    known = {path.name for path in (run / "checkpoints").glob("*/*") if path.is_file()} | {CHECKSUMS}
    model = run / "model"
    with whole_folder(model, lambda folder: _link_entries(model, folder, known)) as folder:
        _link_entries(checkpoint, folder, {CHECKSUMS, *(path.name for path in checkpoint.iterdir() if path.is_dir())})


def is_model_of(model: Path, checkpoint: Path) -> bool:
    """Whether RUN/model is this checkpoint's model, and undamaged."""
    try:
        ours, theirs = read_checksums(model), read_checksums(checkpoint)
        check_files(model, ours or (), "")
    except OpenAlignError:
        return False
    return bool(ours) and ours == {name: each for name, each in (theirs or {}).items() if "/" not in name}


def load_checkpoint_weights(folder: Path, model: Align) -> None:
    """Load the weights of a checkpoint into a model that is not yet sharded.

    Raises:
        OpenAlignError: the checkpoint's shapes differ from the recipe's, or it is damaged.
    """
    hub.load_weights(model, folder / hub.WEIGHTS)


def model_card(recipe: Recipe, step: int, loss: float) -> str:
    """The README of a checkpoint: what it is, how it was made and how to use it."""
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
    """Whether transformers' `AlignModel` can use the folder."""
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


def _write_or_raise(write: Callable[[], None], target: Path) -> None:
    try:
        write()
    except (OSError, SafetensorError) as error:
        raise OpenAlignError(
            f"{target}: the checkpoint could not be written ({error}); make room and resume."
        ) from None


def _remove(checkpoints: list[Path]) -> None:
    """Remove them; if killed half-way, what is left has a name that the next run removes."""
    for old in checkpoints:
        with suppress(OSError):
            renamed = old.rename(old.with_name(f".{old.name}.partial"))
            shutil.rmtree(renamed, ignore_errors=True)


def _link_entries(source: Path, target: Path, left_out: Collection[str]) -> None:
    """Hard-link the entries of a folder into another one, folders recursively, except those `left_out`."""
    for entry in source.iterdir() if source.is_dir() else ():
        if entry.name in left_out:
            continue
        if entry.is_dir() and not entry.is_symlink():
            (target / entry.name).mkdir()
            shutil.copystat(entry, target / entry.name)
            _link_entries(entry, target / entry.name, ())
        else:
            _link(entry, target / entry.name)


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target, follow_symlinks=False)
    except OSError:  # a file system without hard links
        shutil.copy2(file, target, follow_symlinks=False)
