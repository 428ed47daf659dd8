"""The run: steps, logs, checkpoints, signals."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from openalign.data.loader import Batch, BatchLoader, LoaderSettings
from openalign.data.pairs import Pairs, open_pairs
from openalign.data.tokenizer import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.align import Align
from openalign.model.batch_norm import set_group
from openalign.progress import bar, console
from openalign.train.allocator import keep_freed_memory
from openalign.train.checkpoint import (
    checkpoints_of,
    load_checkpoint_weights,
    restore_training_state,
    save_checkpoint,
)
from openalign.train.held_out import HeldOut
from openalign.train.log import RunLog
from openalign.train.optim import build_optimizer
from openalign.train.parallel import Processes, Replica, processes
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
    replica: Replica
    optimizer: torch.optim.Optimizer
    tokenizer: Tokenizer
    held_out: HeldOut | None

    @property
    def processes(self) -> Processes:
        """The processes of the run, seen from this one."""
        return self.replica.processes

    def save(self, step: int, loss: float) -> None:
        """Write the checkpoint after `step` steps."""
        model, processes = self.replica.model, self.processes
        save_checkpoint(self.run, model, self.optimizer, self.tokenizer, self.recipe, step, loss, processes)


def train(
    recipe: str | Path, *, set: Mapping[str, str] | None = None, to: Path | None = None, resume: bool = False
) -> TrainResult:
    """Train a model from a recipe; in each process alike where torchrun started several.

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
    keep_freed_memory()
    with processes() as mine:
        console.quiet = not mine.first
        try:
            return _train(settings, run, resume, mine)
        except BaseException:
            console.quiet = False  # whichever process failed, its sentence is wanted
            raise


def _train(recipe: Recipe, run: Path, resume: bool, mine: Processes) -> TrainResult:
    checkpoints = checkpoints_of(run)
    if checkpoints and not resume:
        raise OpenAlignError(f"{run}: already holds a run; add --resume to go on with it, or choose another --to.")
    start = hub.folder_of(recipe.start_from) if recipe.start_from is not None else None
    if start is not None:
        recipe = recipe.shaped_like(hub.align_settings(start), start)
    _check_shares(recipe, mine)
    pairs = _open_data(recipe)
    tokenizer = Tokenizer.load(Path(recipe.tokenizer or ""))

    model = _build_model(recipe, tokenizer, start if not checkpoints else None, mine)
    if checkpoints:
        load_checkpoint_weights(checkpoints[-1], model)
    replica = Replica(model, mine, recipe.parallel, recipe.precision)
    optimizer = build_optimizer(model, recipe.optimizer)
    first_step = restore_training_state(checkpoints[-1], model, optimizer) if checkpoints else 0

    if mine.first:
        run.mkdir(parents=True, exist_ok=True)
        write_recipe(recipe, run / "recipe.toml")
    held_out = HeldOut.open(recipe.held_out, model, tokenizer) if recipe.held_out is not None else None
    training = Training(recipe, run, pairs, replica, optimizer, tokenizer, held_out)
    with mine.first_goes_ahead():  # the cache of decoded images is made once
        loader = _loader(training, first_step)
    return _run_steps(training, loader, first_step)


def _build_model(recipe: Recipe, tokenizer: Tokenizer, start: Path | None, mine: Processes) -> Align:
    """The model as it stands before its first step, the same in every process."""
    seed_step(recipe.seed, recipe.steps)  # a step that never runs: initial weights draw from their own stream
    if start is not None:
        model = hub.load_align(start)
        if tokenizer.size != model.settings.vocabulary:
            raise OpenAlignError(
                f"{recipe.tokenizer}: has {tokenizer.size:,} entries, and {start} was trained with "
                f"{model.settings.vocabulary:,}; leave `tokenizer` out to take its own."
            )
        model.settings = recipe.model(tokenizer.size)
    else:
        model = Align(recipe.model(tokenizer.size))
    model.to(mine.device)
    if recipe.parallel == "ddp":  # FSDP takes contiguous weights only
        # The filters in the layout of the pixels, which is the fast one.
        model.vision_model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.log_temperature.requires_grad_(recipe.loss.learn_temperature)
    set_group(model, recipe.batch_norm_group)
    if recipe.recompute_activations:
        model.recompute_activations()
    if recipe.compile:
        model.compile_towers()
    return model.train()


def _check_shares(recipe: Recipe, mine: Processes) -> None:
    """Raise OpenAlignError unless the batch divides into equal shares, and they into micro-batches and groups."""
    share, left = divmod(recipe.batch_size, mine.world_size)
    if left:
        raise OpenAlignError(f"batch_size {recipe.batch_size} does not divide by {mine.world_size} processes.")
    micro = min(recipe.micro_batch_size or share, share)
    if share % micro:
        raise OpenAlignError(f"micro_batch_size {micro} does not divide the {share} pairs of each process.")
    if recipe.batch_norm_group is not None and micro % recipe.batch_norm_group:
        raise OpenAlignError(
            f"batch_norm_group {recipe.batch_norm_group} does not divide the {micro} pairs of a forward pass."
        )


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
        crop_scale=recipe.crop_scale,
        word_dropout=recipe.word_dropout,
        shuffle_block=recipe.shuffle_block,
        pin_memory=training.processes.device.type == "cuda",
    )
    return BatchLoader(
        training.pairs,
        training.tokenizer,
        settings,
        first_step=first_step,
        last_step=recipe.steps,
        rank=training.processes.rank,
        world_size=training.processes.world_size,
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
    loss, done, saved = math.nan, first_step, time.monotonic()
    with (
        RunLog(training.run, recipe, first_step, training.processes) as log,
        stop_signals() as stop,
        bar("train", recipe.steps) as running,
    ):
        running.advance(first_step)
        for batch, waited in _timed(loader):
            result = _guarded_step(training, batch)
            loss, done = result.loss, batch.step + 1
            running.advance()
            log.add(result, batch, waited)
            running.note(log.note)
            if training.held_out is not None and training.held_out.due(done, recipe.steps):
                log.add_recall(done, training.held_out.recall())
            overdue = time.monotonic() - saved > 60.0 * (recipe.checkpoint_every_minutes or math.inf)
            stopping, overdue = training.processes.any(stop.is_set(), overdue)
            last = done == recipe.steps
            if last or stopping or overdue or done % recipe.checkpoint_every_steps == 0:
                training.save(done, loss)
                saved = time.monotonic()
            if stopping and not last:
                console.print(f"Stopped after step {done:,}; go on with --resume.")
                raise KeyboardInterrupt
    return TrainResult(training.run, training.run / "model", done, loss, time.perf_counter() - began)


def _guarded_step(training: Training, batch: Batch) -> StepResult:
    """One step; a loss that is not finite ends the run before it can reach the weights."""
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


def _timed(loader: BatchLoader) -> Iterator[tuple[Batch, float]]:
    """Batches, each with the seconds that the step had to wait for it."""
    batches = iter(loader)
    while True:
        began = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - began
