"""Where the curves of a run can be watched: TensorBoard, and Weights & Biases where somebody has set it up."""

import importlib
import importlib.util
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard.writer import SummaryWriter

from openalign.progress import console
from openalign.train.recipe import Recipe


class Board(Protocol):
    """Takes the figures of a step."""

    def scalars(self, values: Mapping[str, float], step: int) -> None: ...

    def close(self) -> None: ...


def boards(run: Path, recipe: Recipe, first_step: int) -> list[Board]:
    """The boards of a run that has done `first_step` steps."""
    wanted: list[Board] = [TensorBoard(run, first_step)]
    if weights_and_biases_is_set_up():
        wanted.append(WeightsAndBiases(run, recipe))
    return wanted


class TensorBoard:
    """Event files in RUN/tensorboard."""

    def __init__(self, run: Path, first_step: int) -> None:
        self._writer = SummaryWriter(run / "tensorboard", purge_step=first_step + 1)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def weights_and_biases_is_set_up() -> bool:
    """Whether the package is there, and a key or the offline mode says that it shall be used."""
    mode = os.environ.get("WANDB_MODE", "")
    if mode == "disabled" or not (mode == "offline" or os.environ.get("WANDB_API_KEY")):
        return False
    package = importlib.util.find_spec("wandb")
    # A folder `wandb`, which that package leaves behind where it ran, looks like a package too, but has no origin.
    return package is not None and package.origin is not None


class WeightsAndBiases:
    """A run there, the same one after a resume. Its failures are told once and never end the training."""

    def __init__(self, run: Path, recipe: Recipe) -> None:
        self._run: Any = None
        self._safely(lambda: self._start(run, recipe))

    def _start(self, run: Path, recipe: Recipe) -> None:
        wandb = importlib.import_module("wandb")
        name_file = run / "wandb-id.txt"
        if not name_file.exists():
            name_file.write_text(secrets.token_hex(4) + "\n", encoding="utf-8")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "openalign"),
            name=run.resolve().name,
            id=name_file.read_text(encoding="utf-8").strip(),
            resume="allow",
            dir=str(run),
            config=recipe.model_dump(),
        )

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        if self._run is not None:
            self._safely(lambda: self._run.log(dict(values), step=step))

    def close(self) -> None:
        if self._run is not None:
            self._safely(lambda: self._run.finish())

    def _safely(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            self._run = None
            console.print(f"Weights & Biases is left out from here: {error}", markup=False, soft_wrap=True)
