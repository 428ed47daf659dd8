"""The steps of a run: train, log, measure, save, and stop between two steps where that is asked for."""

import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from openalign.data.loading.loader import Batch, BatchLoader
from openalign.errors import OpenAlignError, ReportedElsewhere
from openalign.options import option
from openalign.progress import bar, log
from openalign.training.optimization.step import StepResult, train_step
from openalign.training.run_folder.checkpoint import checkpoints_of
from openalign.training.setup import Training
from openalign.training.signals import stop_signals
from openalign.training.watch.run_log import RunLog


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a run."""

    run: Path
    model: Path
    """The Hugging Face folder of the newest checkpoint."""
    steps: int
    loss: float
    seconds: float
    """Of this call: a resumed run counts from where it resumed."""


class _Saves:
    """Which step was saved last, and when the next one is due."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._step = training.first_step
        self._seconds = 60.0 * (training.recipe.checkpoint_every_minutes or math.inf)
        self._at = time.monotonic()

    @property
    def overdue(self) -> bool:
        """Whether `checkpoint_every_minutes` have passed, by the clock of this process."""
        return time.monotonic() - self._at > self._seconds

    def save(self, step: int, loss: float) -> None:
        """Write the checkpoint after `step` steps, unless it is there."""
        if step > self._step:
            self._training.save(step, loss)
            self._step, self._at = step, time.monotonic()

    def save_if_due(self, step: int, loss: float) -> None:
        """Write the checkpoint after `step` steps if `checkpoint_every_steps` asks for it, or it is the last."""
        if step == self._training.recipe.steps or step % self._training.recipe.checkpoint_every_steps == 0:
            self.save(step, loss)


def run_steps(training: Training) -> TrainResult:
    """Train until the recipe's last step.

    Raises:
        OpenAlignError: the loader, the log or a checkpoint failed, or a step diverged.
        KeyboardInterrupt: a signal asked the run to stop; a checkpoint was written.
    """
    recipe, began = training.recipe, time.perf_counter()
    loss, done, saves = math.nan, training.first_step, _Saves(training)
    with (
        RunLog(training.run, recipe, done, training.processes) as run_log,
        stop_signals() as stop,
        bar("train", recipe.steps) as running,
        closing(_timed(training.loader)) as batches,  # ends the workers now, not when a traceback is released
    ):
        running.advance(done)
        while done < recipe.steps:
            batch, waited = next(batches)
            trouble = run_log.trouble or (batch if isinstance(batch, OpenAlignError) else None)
            stopping, failing, overdue = training.processes.any(stop.is_set(), trouble is not None, saves.overdue)
            if isinstance(batch, OpenAlignError) or failing or stopping:
                _stop_early(training, saves, done, loss, trouble, failing)
            if overdue:
                saves.save(done, loss)

            result = _guarded_step(training, batch)
            loss, done = result.loss, batch.step + 1
            running.advance()
            run_log.add(result, batch, waited)
            running.note(run_log.note)
            if training.held_out is not None and training.held_out.due(done, recipe.steps):
                run_log.add_recall(done, training.held_out.recall())
            saves.save_if_due(done, loss)
        if run_log.trouble is not None:
            raise run_log.trouble
    return TrainResult(training.run, training.run / "model", done, loss, time.perf_counter() - began)


def _stop_early(
    training: Training, saves: _Saves, done: int, loss: float, trouble: OpenAlignError | None, failing: bool
) -> NoReturn:
    """Stop between two steps, after a checkpoint; all processes call this.

    Raises:
        OpenAlignError: what failed in this process, and how to resume; `ReportedElsewhere` if it was another process.
        KeyboardInterrupt: nothing failed: a signal asked the run to stop.
    """
    unsaved: OpenAlignError | None = None
    try:
        saves.save(done, loss)
    except OpenAlignError as error:
        unsaved = error
    resume = how_to_resume(training.run)
    if trouble is not None:
        also = f" {unsaved}" if unsaved is not None else ""
        raise OpenAlignError(f"{str(trouble).rstrip('.')}.{also} Stopped after step {done:,}; {resume}.")
    if unsaved is not None:
        raise unsaved
    if failing:
        raise ReportedElsewhere("another process reports the error")
    log.info(f"Stopped after step {done:,}; {resume}.")
    raise KeyboardInterrupt


def how_to_resume(run: Path) -> str:
    """The last checkpoint and the option that resumes from it, to end an error message with."""
    checkpoints = checkpoints_of(run)
    if not checkpoints:
        return f"{run} has no checkpoint yet: start it again"
    return f"the last checkpoint is {checkpoints[-1]}: go on with {option(resume=True, to=run)}"


def _guarded_step(training: Training, batch: Batch) -> StepResult:
    """One step; a loss or gradient that is not finite ends the run before it reaches the weights."""
    try:
        result = train_step(training.replica, training.optimizer, batch, training.recipe)
        finite = math.isfinite(result.loss) and math.isfinite(result.gradient_norm)
        what = f"loss {result.loss}, gradient norm {result.gradient_norm}"
    except OpenAlignError as error:
        finite, what = False, str(error)
    if not finite:
        good = checkpoints_of(training.run)
        names = ", ".join(training.pairs.row_name(int(row)) for row in batch.rows_B[:5])
        raise OpenAlignError(
            f"Step {batch.step + 1:,} diverged ({what}) on samples {names}, ...; the last good checkpoint is "
            f"{good[-1] if good else 'none'}. Lower optimizer.learning_rate or lengthen optimizer.warmup_steps."
        )
    return result


def _timed(loader: BatchLoader) -> Generator[tuple[Batch | OpenAlignError, float]]:
    """Batches, each with the seconds that the step waited for it; last, an error that ends them early."""
    with closing(iter(loader)) as batches:
        while True:
            began = time.perf_counter()
            try:
                batch: Batch | OpenAlignError = next(batches)
            except OpenAlignError as error:
                batch = error
            yield batch, time.perf_counter() - began
