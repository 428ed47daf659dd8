"""Boards that show the curves of a run: TensorBoard, and Weights & Biases if it is set up."""

import importlib
import importlib.util
import os
import secrets
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from openalign.progress import log
from openalign.training.recipe.recipe import Recipe


class Board(ABC):
    """Shows figures over steps. A failure is logged once and does not stop training: log.jsonl has the same figures."""

    title: str

    def __init__(self) -> None:
        self._works = True

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Show the figures of `step`."""
        self._safely(lambda: self._scalars(values, step))

    def close(self) -> None:
        """Close it, after all figures are written."""
        self._safely(self._close)

    @abstractmethod
    def _scalars(self, values: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...

    def _safely(self, call: Callable[[], object]) -> None:
        if not self._works:
            return
        try:
            call()
        except Exception as error:
            self._works = False
            log.warning(f"{self.title} is not used from here on: {error}")


def boards(run: Path, recipe: Recipe, first_step: int) -> list[Board]:
    """The boards of a run that starts after `first_step` steps."""
    wanted: list[Board] = [TensorBoard(run, first_step)]
    if weights_and_biases_is_set_up():
        wanted.append(WeightsAndBiases(run, recipe))
    return wanted


class TensorBoard(Board):
    """An event file in RUN/tensorboard, which hides the steps after `first_step` of earlier files.

    torch's SummaryWriter writes in a thread that ends with a traceback on a full disk, so it is not used.
    """

    title = "TensorBoard"

    def __init__(self, run: Path, first_step: int) -> None:
        super().__init__()
        self._safely(lambda: self._start(run / "tensorboard", first_step + 1))

    def _start(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._records = RecordWriter((folder / name).open("xb", buffering=0))
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        session = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), step=purge_step, session_log=session))

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        shown = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=shown)))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())

    def _close(self) -> None:
        self._records.close()


def weights_and_biases_is_set_up() -> bool:
    """Whether the package is installed, and WANDB_API_KEY or WANDB_MODE=offline is set."""
    mode = os.environ.get("WANDB_MODE", "")
    if mode == "disabled" or not (mode == "offline" or os.environ.get("WANDB_API_KEY")):
        return False
    package = importlib.util.find_spec("wandb")
    # A folder `wandb`, which the package writes into the working directory, is found as well, but has no origin.
    return package is not None and package.origin is not None


class WeightsAndBiases(Board):
    """A run on Weights & Biases; a resumed run continues the same one."""

    title = "Weights & Biases"

    def __init__(self, run: Path, recipe: Recipe) -> None:
        super().__init__()
        self._safely(lambda: self._start(run, recipe))

    def _start(self, run: Path, recipe: Recipe) -> None:
        wandb = importlib.import_module("wandb")
        name_file = run / "wandb-id.txt"
        if not name_file.exists():
            name_file.write_text(secrets.token_hex(4) + "\n", encoding="utf-8")
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "openalign"),
            name=run.resolve().name,
            id=name_file.read_text(encoding="utf-8").strip(),
            resume="allow",
            dir=str(run),
            config=recipe.model_dump(),
        )

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def _close(self) -> None:
        self._run.finish()
