"""What a run needs besides the weights to resume bit for bit: the optimizer's moments, the step, its data's identity.

CHECKPOINT/training_state/optimizer.safetensors     the moments as `MOMENT/PARAMETER`, and the temperature's logarithm
CHECKPOINT/training_state/state.json                a `TrainingState`
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from openalign.errors import OpenAlignError
from openalign.model.align import Align
from openalign.model.hub import WEIGHTS
from openalign.progress import log
from openalign.settings import Settings
from openalign.training.optimization.optim import MOMENTS, moments_of
from openalign.training.optimization.replica import full_tensor
from openalign.training.run_folder.identity import Identity

STATE = "training_state"
TENSORS = "optimizer.safetensors"
LOG_TEMPERATURE = "log_temperature"
_Count = Annotated[int, Field(ge=0, le=2**53)]
_SCALARS = ((), (1,))
"""Shapes of scalar moments: AdamW counts its steps in a tensor."""


class TrainingState(Settings):
    """`state.json`. The keys of both tables are parameter names."""

    step: _Count
    """Steps done."""
    tensors: dict[str, tuple[str, ...]]
    """Names of the moments of a parameter that are tensors."""
    numbers: dict[str, dict[str, _Count]]
    """Moments that are numbers, by name."""
    identity: Identity | None = None
    """None in checkpoints of older versions."""


def collect_state(
    model: Align, optimizer: torch.optim.Optimizer, step: int, identity: Identity | None
) -> tuple[dict[str, torch.Tensor], TrainingState]:
    """The tensors of the training state, gathered from all processes, and the rest."""
    tensors = {LOG_TEMPERATURE: model.log_temperature.detach()}
    names: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                tensors[f"{key}/{name}"] = full_tensor(value).contiguous()
                names[name] = (*names.get(name, ()), key)
            elif value is not None:  # SGD's momentum before its first step
                numbers.setdefault(name, {})[key] = value
    return tensors, TrainingState(step=step, tensors=names, numbers=numbers, identity=identity)


def write_state(folder: Path, tensors: dict[str, torch.Tensor], state: TrainingState) -> None:
    """Write both files into a checkpoint's folder."""
    (folder / STATE).mkdir()
    save_file(tensors, folder / STATE / TENSORS)
    (folder / STATE / "state.json").write_text(state.model_dump_json() + "\n", encoding="utf-8")


def read_state(folder: Path) -> TrainingState:
    """Read the state of a checkpoint and check it against all of the checkpoint's tensors.

    Raises:
        OpenAlignError: a file is missing or damaged, a value is not one that a run writes, or a tensor is not finite.
    """
    path = folder / STATE / "state.json"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise OpenAlignError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise OpenAlignError(f"{path}: not a JSON object")
    state = TrainingState.read(content, str(path))
    if folder.name != f"step-{state.step:08d}":
        raise OpenAlignError(f"{path}: has step {state.step:,}, but its folder is {folder.name}")
    _check_tensors(folder, state)
    return state


def restore_state(folder: Path, state: TrainingState, model: Align, optimizer: torch.optim.Optimizer) -> None:
    """Restore the optimizer's moments and the temperature's logarithm, bit for bit; `state` is the folder's.

    An optimizer of another kind than the checkpoint's starts without moments, and a warning is logged.

    Raises:
        OpenAlignError: the tensors cannot be read.
    """
    try:
        tensors = load_file(folder / STATE / TENSORS)
    except (OSError, SafetensorError) as error:
        raise OpenAlignError(f"{folder / STATE / TENSORS}: cannot be read ({error})") from None
    wanted = moments_of(optimizer)
    kept = {name for name, keys in _moments(state).items() if keys == wanted}
    if not kept and _moments(state):
        log.warning("The moments in the checkpoint are of another optimizer: this one starts without any.")
    for name, parameter in model.named_parameters():
        if name in kept:
            moments: dict[str, Any] = {
                key: _with_strides_of(parameter, tensors[f"{key}/{name}"]) for key in state.tensors.get(name, ())
            }
            optimizer.state[parameter] = moments | state.numbers.get(name, {})
    # The model folder holds the temperature, from which the logarithm could not be restored bit for bit.
    with torch.no_grad():
        model.log_temperature.copy_(tensors[LOG_TEMPERATURE])


def _moments(state: TrainingState) -> dict[str, frozenset[str]]:
    """Names of each parameter's moments."""
    names = {**state.tensors, **state.numbers}
    return {name: frozenset(state.tensors.get(name, ())) | state.numbers.get(name, {}).keys() for name in names}


def _check_tensors(folder: Path, state: TrainingState) -> None:
    weights, moments = folder / WEIGHTS, folder / STATE / TENSORS
    shapes, found = _finite_tensors(weights), _finite_tensors(moments)
    if found.pop(LOG_TEMPERATURE, None) != ():
        raise OpenAlignError(f"{moments}: has no scalar `{LOG_TEMPERATURE}`")
    for name, keys in _moments(state).items():
        if keys not in MOMENTS.values():
            raise OpenAlignError(
                f"{folder / STATE / 'state.json'}: no optimizer has the moments {sorted(keys)} of `{name}`"
            )
    listed = {f"{key}/{name}" for name, keys in state.tensors.items() for key in keys}
    if odd := sorted(listed ^ found.keys()):
        raise OpenAlignError(f"{moments}: `{odd[0]}` is only here or only in state.json")
    for name, shape in found.items():
        parameter = name.partition("/")[2]
        expected = () if parameter == LOG_TEMPERATURE else shapes.get(parameter)
        if shape != expected and shape not in _SCALARS:
            raise OpenAlignError(f"{moments}: `{name}` has shape {shape}, but its parameter {expected}")


def _finite_tensors(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors of a file, after checking that each is float32 and finite."""
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                tensor = file.get_tensor(name)
                shapes[name] = tuple(tensor.shape)
                if tensor.dtype != torch.float32 and "num_batches" not in name:
                    raise OpenAlignError(f"{path}: `{name}` is {tensor.dtype}, not float32")
                if not math.isfinite(float(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
                    raise OpenAlignError(f"{path}: `{name}` has values that are not finite")
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror or error})") from None
    except SafetensorError as error:
        raise OpenAlignError(f"{path}: damaged ({error})") from None
    return shapes


def _with_strides_of(parameter: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
    """The strides that the optimizer would have used: sums over another layout round differently."""
    if stored.shape != parameter.shape:
        return stored
    if isinstance(parameter, DTensor):
        return distribute_tensor(stored.to(parameter.device), parameter.device_mesh, parameter.placements)
    return torch.empty_like(parameter).copy_(stored)
