"""The run: steps, logs, checkpoints, signals."""

import math
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

from openalign.data.loading.loader import Batch, BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.text.tokenizer import Tokenizer
from openalign.errors import OpenAlignError, UsageError
from openalign.locks import locked
from openalign.model import hub
from openalign.model.align import Align
from openalign.model.batch_norm import set_group
from openalign.progress import bar, console, list_problems, say
from openalign.settings import full_keys
from openalign.training.optimization.allocator import keep_freed_memory
from openalign.training.optimization.optim import build_optimizer
from openalign.training.optimization.parallel import LostProcess, Processes, Replica, ToldElsewhere, processes
from openalign.training.optimization.step import StepResult, seed_step, train_step
from openalign.training.recipe.changes import contradiction
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.checkpoint import checkpoints_of, load_checkpoint_weights, save_checkpoint
from openalign.training.run_folder.identity import Identity, identity_of
from openalign.training.run_folder.resume import Asked, Plan, plan, prepare, refuse_other_data
from openalign.training.run_folder.training_state import restore_state
from openalign.training.signals import stop_signals
from openalign.training.watch.held_out import HeldOut
from openalign.training.watch.log import RunLog


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
    identity: Identity | None
    """What it learns from; the first process has it."""

    @property
    def processes(self) -> Processes:
        """The processes of the run, seen from this one."""
        return self.replica.processes

    def save(self, step: int, loss: float) -> None:
        """Write the checkpoint after `step` steps."""
        model, processes = self.replica.model, self.processes
        save_checkpoint(
            self.run, model, self.optimizer, self.tokenizer, self.recipe, step, loss, processes, self.identity
        )


def train(
    recipe: str | Path | None = None,
    *,
    set: Mapping[str, str] | None = None,
    to: str | Path | None = None,
    resume: bool = False,
    change: Mapping[str, str] | None = None,
) -> TrainResult:
    """Train a model from a recipe; in each process alike where torchrun started several.

    Args:
        recipe: path of a TOML recipe, or the name of one that comes with openalign; may be left out with `resume`,
            which takes the run's own.
        set: changes to it, dotted keys to TOML values, such as {"optimizer.learning_rate": "2e-3"}.
        to: the run's folder; `runs/NAME` by default.
        resume: go on from the newest whole checkpoint in that folder, with the recipe that the run was begun with.
        change: as `set`, with `resume`, for settings that shall be other than the run was begun with.

    Raises:
        OpenAlignError: a bad recipe, unreadable data, a folder that holds or gets another run, a resumed run with
            another recipe or other data, no whole checkpoint, a full disk, a loader or process that was killed, a loss
            that is not finite.
        KeyboardInterrupt: stopped by Ctrl-C, SIGTERM or SIGHUP, after a checkpoint was written.
    """
    if recipe is None and (to is None or not resume):
        raise UsageError("name a RECIPE to train; only --resume with --to RUN goes on without one.")
    settings, changed = full_keys(Recipe, set or {}), full_keys(Recipe, change or {}, "--change")
    if (said := contradiction(settings, changed, resume)) is not None:
        raise UsageError(said)
    run = Path(to) if to is not None else Path("runs") / Path(recipe or "").stem
    asked = Asked(recipe, settings, changed, resume)
    keep_freed_memory()
    try:
        with processes() as mine, ExitStack() as held:
            console.quiet = not mine.first
            mine.from_first(lambda: _hold(run, held))
            return _train(asked, run, mine)
    except ToldElsewhere:
        raise
    except LostProcess as error:
        console.quiet = False
        raise OpenAlignError(f"{error}; {_last_checkpoint(run)}") from None
    except BaseException:
        console.quiet = False  # whichever process failed, its sentence is wanted
        raise


def _hold(run: Path, held: ExitStack) -> None:
    """Lock the run's folder until `held` is closed. Raises `OpenAlignError` where another run holds it."""
    try:
        held.enter_context(locked(run))
    except OSError as error:
        raise OpenAlignError(f"{run}: cannot be locked ({error.strerror}); make room or choose another --to.") from None


def _train(asked: Asked, run: Path, mine: Processes) -> TrainResult:
    planned = mine.from_first(lambda: plan(run, asked))
    recipe = planned.recipe
    _check_shares(recipe, mine)
    pairs = _open_data(recipe)
    tokenizer = Tokenizer.load(Path(recipe.tokenizer or ""))
    model = _build_model(planned, tokenizer, mine)
    identity = mine.from_first(lambda: _settle(run, asked, planned, pairs, tokenizer))

    replica = Replica(model, mine, recipe.parallel, recipe.precision)
    optimizer = build_optimizer(model, recipe.optimizer)
    if planned.checkpoint is not None and planned.state is not None:
        restore_state(planned.checkpoint, planned.state, model, optimizer)
    held_out = HeldOut.open(recipe.held_out, model, tokenizer) if recipe.held_out is not None else None
    if held_out is not None and mine.first:
        list_problems(held_out.pairs.problems)
    training = Training(recipe, run, pairs, replica, optimizer, tokenizer, held_out, identity)
    with mine.first_goes_ahead():  # the cache of decoded images is made once
        loader = _loader(training, planned.step)
    return _run_steps(training, loader, planned.step)


def _settle(run: Path, asked: Asked, planned: Plan, pairs: Pairs, tokenizer: Tokenizer) -> Identity:
    """Check that a resumed run learns from what it has learned from, and make its folder ready to be written."""
    list_problems(pairs.problems)
    identity = identity_of(pairs, tokenizer)
    if planned.state is not None:
        refuse_other_data(planned.state.identity, identity, planned.recipe, asked.changed)
    prepare(run, planned)
    return identity


def _last_checkpoint(run: Path) -> str:
    """Where to go on from, for the end of a sentence."""
    checkpoints = checkpoints_of(run)
    if not checkpoints:
        return f"{run} has no checkpoint yet: start it again"
    return f"the last checkpoint is {checkpoints[-1]}: go on with --resume --to {run}"


def _build_model(planned: Plan, tokenizer: Tokenizer, mine: Processes) -> Align:
    """The model as it stands before the next step, the same in every process."""
    recipe = planned.recipe
    seed_step(recipe.seed, recipe.steps)  # a step that never runs: initial weights draw from their own stream
    if recipe.start_from is not None and planned.checkpoint is None:
        model = _start_model(recipe, tokenizer)
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
    if planned.checkpoint is not None:
        load_checkpoint_weights(planned.checkpoint, model)
    return model.train()


def _start_model(recipe: Recipe, tokenizer: Tokenizer) -> Align:
    """The model that is fine-tuned."""
    start = hub.folder_of(recipe.start_from or "")
    model = hub.load_align(start)
    if tokenizer.size != model.settings.vocabulary:
        raise OpenAlignError(
            f"{recipe.tokenizer}: has {tokenizer.size:,} entries, and {start} was trained with "
            f"{model.settings.vocabulary:,}; leave `tokenizer` out to take its own."
        )
    model.settings = recipe.model(tokenizer.size)
    return model


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
    settings = LoaderSettings.of(
        recipe,
        resize_size=recipe.resized,
        max_pieces=recipe.text_tower.max_pieces,
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
    pairs = open_pairs(
        recipe.data, image_column=recipe.image_column, text_column=recipe.text_column, where=recipe.where
    )
    if len(pairs) < recipe.batch_size:
        raise OpenAlignError(
            f"{recipe.data}: {len(pairs):,} pairs are fewer than one batch of {recipe.batch_size:,}; "
            f"lower batch_size or give more data."
        )
    return pairs


def _run_steps(training: Training, loader: BatchLoader, first_step: int) -> TrainResult:
    recipe, began = training.recipe, time.perf_counter()
    loss, done, saved, saved_at = math.nan, first_step, first_step, time.monotonic()
    with (
        RunLog(training.run, recipe, first_step, training.processes) as log,
        stop_signals() as stop,
        bar("train", recipe.steps) as running,
        closing(_timed(loader)) as batches,  # ends the workers now, not when somebody lets go of an error's traceback
    ):
        running.advance(first_step)
        while done < recipe.steps:
            batch, waited = next(batches)
            trouble = log.trouble or (batch if isinstance(batch, OpenAlignError) else None)
            overdue = time.monotonic() - saved_at > 60.0 * (recipe.checkpoint_every_minutes or math.inf)
            stopping, failing, overdue = training.processes.any(stop.is_set(), trouble is not None, overdue)
            if isinstance(batch, OpenAlignError) or failing or stopping:
                _end_early(training, done, loss if done > saved else None, trouble, failing)
            if overdue and done > saved:
                training.save(done, loss)
                saved, saved_at = done, time.monotonic()

            result = _guarded_step(training, batch)
            loss, done = result.loss, batch.step + 1
            running.advance()
            log.add(result, batch, waited)
            running.note(log.note)
            if training.held_out is not None and training.held_out.due(done, recipe.steps):
                log.add_recall(done, training.held_out.recall())
            if done == recipe.steps or done % recipe.checkpoint_every_steps == 0:
                training.save(done, loss)
                saved, saved_at = done, time.monotonic()
        if log.trouble is not None:
            raise log.trouble
    return TrainResult(training.run, training.run / "model", done, loss, time.perf_counter() - began)


def _end_early(
    training: Training, done: int, loss: float | None, trouble: OpenAlignError | None, failing: bool
) -> NoReturn:
    """End between two steps with a checkpoint, unless `loss` is None: then there is one. All processes come here.

    Raises:
        OpenAlignError: what went wrong in this process, and where to go on; `ToldElsewhere` where it was another one.
        KeyboardInterrupt: nothing did; somebody asked the run to stop.
    """
    unsaved: OpenAlignError | None = None
    try:
        if loss is not None:
            training.save(done, loss)
    except OpenAlignError as error:
        unsaved = error
    going_on = _last_checkpoint(training.run)
    if trouble is not None:
        also = f" {unsaved}" if unsaved is not None else ""
        raise OpenAlignError(f"{str(trouble).rstrip('.')}.{also} Stopped after step {done:,}; {going_on}.")
    if unsaved is not None:
        raise unsaved
    if failing:
        raise ToldElsewhere("another process says why")
    say(f"Stopped after step {done:,}; {going_on}.")
    raise KeyboardInterrupt


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


def _timed(loader: BatchLoader) -> Generator[tuple[Batch | OpenAlignError, float]]:
    """Batches, each with the seconds that the step had to wait for it; at last the error that ends them early."""
    with closing(iter(loader)) as batches:
        while True:
            began = time.perf_counter()
            try:
                batch: Batch | OpenAlignError = next(batches)
            except OpenAlignError as error:
                batch = error
            yield batch, time.perf_counter() - began
