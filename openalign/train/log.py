"""What a run says while it goes: a line on the console, `log.jsonl`, TensorBoard."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard.writer import SummaryWriter

from openalign.data.loader import Batch
from openalign.progress import console
from openalign.train.recipe import Recipe
from openalign.train.step import StepResult

PLAIN_LINE_SECONDS = 15.0  # where there is no terminal to redraw
SLOW_LOADER_SHARE = 0.2


class RunLog:
    """Collects step results and writes one record every `log_every_steps`; a resumed run cuts off what it repeats."""

    def __init__(self, run: Path, recipe: Recipe, first_step: int) -> None:
        self.note = ""
        """The newest figures in at most 45 columns."""
        self._recipe = recipe
        self._path = run / "log.jsonl"
        _keep_steps_before(self._path, first_step)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(run / "tensorboard", purge_step=first_step)
        self._window: list[tuple[Batch, float]] = []
        self._window_began = time.perf_counter()
        self._last_line = time.perf_counter()
        self._first_step = first_step
        self._warned = False
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._board.close()

    def add(self, result: StepResult, batch: Batch, waited: float) -> None:
        """Take in one step: its result, its batch and the seconds it waited for that batch."""
        for problem in batch.problems:
            if problem not in self._told:  # it comes back with every pass over the data
                self._told.add(problem)
                console.print(f"Step {batch.step + 1:,}: {problem}", markup=False)
        self._window.append((batch, waited))
        done = batch.step + 1
        if done % self._recipe.log_every_steps == 0 or done == self._recipe.steps:
            self._write(result, done)

    def _write(self, result: StepResult, done: int) -> None:
        now = time.perf_counter()
        seconds = now - self._window_began
        waited = sum(wait for _, wait in self._window)
        disk, decode = (sum(getattr(batch, name) for batch, _ in self._window) for name in ("disk_s", "decode_s"))
        record: dict[str, Any] = {
            "step": done,
            "loss": result.loss,
            "temperature": result.temperature,
            "learning_rate": result.learning_rate,
            "gradient_norm": result.gradient_norm,
            "pairs_per_second": self._recipe.batch_size * len(self._window) / seconds,
            "waiting_for_loader": waited / seconds,
            "loader_disk_share": disk / max(disk + decode, 1e-9),
            "problems": sum(len(batch.problems) for batch, _ in self._window),
        }
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for name, value in record.items():
            if name != "step":
                self._board.add_scalar(name, value, done)
        self.note = (
            f"loss {result.loss:.3f} · {record['pairs_per_second']:.0f} pairs/s · t {result.temperature:.4f}"
            f" · waits {record['waiting_for_loader']:.0%}"
        )
        self._speak(record, now)
        self._window, self._window_began = [], now

    def _speak(self, record: dict[str, Any], now: float) -> None:
        if not console.is_terminal and (
            now - self._last_line > PLAIN_LINE_SECONDS or record["step"] == self._recipe.steps
        ):
            console.print(f"step {record['step']:,}/{self._recipe.steps:,} · {self.note}")
            self._last_line = now
        settled = record["step"] > self._first_step + 5 * self._recipe.log_every_steps
        if settled and not self._warned and record["waiting_for_loader"] > SLOW_LOADER_SHARE:
            self._warned = True
            cause = "reading" if record["loader_disk_share"] > 0.5 else "decoding"
            console.print(
                f"The model waits {record['waiting_for_loader']:.0%} of the time for the loader, which is busy {cause} "
                f"images: raise `workers`, or set `cache_images = true`."
            )


def _keep_steps_before(path: Path, step: int) -> None:
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
