"""The run: steps, logs, checkpoints, signals."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import torch

from openalign.data.loader import Batch, BatchLoader, LoaderSettings
from openalign.data.pairs import Pairs, open_pairs
from openalign.data.tokenizer import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model.align import Align
from openalign.progress import bar, console
from openalign.train.allocator import keep_freed_memory
from openalign.train.checkpoint import checkpoints_of, restore_checkpoint, save_checkpoint
from openalign.train.log import RunLog
from openalign.train.optim import build_optimizer
from openalign.train.recipe import Recipe, read_recipe, write_recipe
from openalign.train.signals import stop_signals
from openalign.train.step import StepResult, seed_step, train_step


@dataclass(frozen=True)
class TrainResult:
    """What a run came to."""

    run: Path
    model: Path
    """The Hugging Face folder of the newest checkpoint."""
    steps: int
    loss: float
    seconds: float
    """Of this call: a resumed run counts from where it resumed."""


@dataclass(frozen=True)
class Training:
    """What every step of a run works with."""

    recipe: Recipe
    run: Path
    pairs: Pairs
    model: Align
    optimizer: torch.optim.Optimizer
    tokenizer: Tokenizer

    def save(self, step: int, loss: float) -> None:
        """Write the checkpoint after `step` steps."""
        save_checkpoint(self.run, self.model, self.optimizer, self.tokenizer, self.recipe, step, loss)


def train(
    recipe: str | Path, *, set: Mapping[str, str] | None = None, to: Path | None = None, resume: bool = False
) -> TrainResult:
    """Train a model from a recipe.

    Args:
        recipe: path of a TOML recipe, or the name of one that comes with openalign.
        set: changes to it, dotted keys to TOML values, such as {"optimizer.learning_rate": "2e-3"}.
        to: the run's folder; `runs/NAME` by default.
        resume: go on from the newest whole checkpoint in that folder.

    Raises:
        OpenAlignError: a bad recipe, unreadable data, a folder that holds another run, a loss that is not finite.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    settings = read_recipe(recipe, set)
    run = Path(to) if to is not None else Path("runs") / Path(recipe).stem
    checkpoints = checkpoints_of(run)
    if checkpoints and not resume:
        raise OpenAlignError(f"{run}: already holds a run; add --resume to go on with it, or choose another --to.")
    keep_freed_memory()
    pairs = _open_data(settings)
    tokenizer = Tokenizer.load(Path(settings.tokenizer))

    seed_step(settings.seed, settings.steps)  # a step that never runs: initial weights draw from their own stream
    model = Align(settings.model(tokenizer.size)).to(_device())
    # The filters in the layout of the pixels, which is the fast one.
    model.vision_model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.log_temperature.requires_grad_(settings.loss.learn_temperature)
    optimizer = build_optimizer(model, settings.optimizer)
    first_step = restore_checkpoint(checkpoints[-1], model, optimizer) if checkpoints else 0

    run.mkdir(parents=True, exist_ok=True)
    write_recipe(settings, run / "recipe.toml")
    training = Training(settings, run, pairs, model, optimizer, tokenizer)
    return _run_steps(training, _loader(training, first_step), first_step)


def _loader(training: Training, first_step: int) -> BatchLoader:
    recipe = training.recipe
    settings = LoaderSettings(
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        image_size=recipe.image_size,
        resize_size=recipe.resized,
        max_pieces=recipe.text_tower.max_pieces,
        workers=recipe.workers,
        flip=recipe.flip,
    )
    return BatchLoader(
        training.pairs,
        training.tokenizer,
        settings,
        first_step=first_step,
        last_step=recipe.steps,
        cache=training.run / "cache" if recipe.cache_images else None,
    )


def _open_data(recipe: Recipe) -> Pairs:
    pairs = open_pairs(recipe.data, image_column=recipe.image_column, text_column=recipe.text_column)
    for column, value in recipe.where.items():
        pairs = pairs.where(column, value)
    if len(pairs) < recipe.batch_size:
        raise OpenAlignError(
            f"{recipe.data}: {len(pairs):,} pairs are fewer than one batch of {recipe.batch_size:,}; "
            f"lower batch_size or give more data."
        )
    return pairs


def _run_steps(training: Training, loader: BatchLoader, first_step: int) -> TrainResult:
    recipe, began = training.recipe, time.perf_counter()
    loss, done = math.nan, first_step
    training.model.train()
    with RunLog(training.run, recipe, first_step) as log, stop_signals() as stop, bar("train", recipe.steps) as running:
        running.advance(first_step)
        for batch, waited in _timed(loader, stop):
            result = _guarded_step(training, batch)
            loss, done = result.loss, batch.step + 1
            running.advance()
            log.add(result, batch, waited)
            running.note(log.note)
            if done % recipe.checkpoint_every_steps == 0 or done == recipe.steps:
                training.save(done, loss)
        if stop.is_set() and done < recipe.steps:
            training.save(done, loss)
            console.print(f"Stopped after step {done:,}; go on with --resume.")
            raise KeyboardInterrupt
    return TrainResult(training.run, training.run / "model", done, loss, time.perf_counter() - began)


def _guarded_step(training: Training, batch: Batch) -> StepResult:
    """One step; a loss that is not finite ends the run before it can reach the weights."""
    try:
        result = train_step(training.model, training.optimizer, batch, training.recipe)
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


def _timed(loader: BatchLoader, stop: Event) -> Iterator[tuple[Batch, float]]:
    """Batches, each with the seconds that the step had to wait for it; none after a request to stop."""
    batches = iter(loader)
    while not stop.is_set():
        began = time.perf_counter()
        try:
            batch = next(batches, None)
        except OpenAlignError:
            if stop.is_set():  # a SIGTERM to the whole process group ends the loader's workers too
                return
            raise
        if batch is None:
            return
        yield batch, time.perf_counter() - began


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
