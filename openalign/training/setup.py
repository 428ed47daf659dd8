"""Everything that the steps of a run work with, opened and checked before the first one."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from openalign.data.announce import announce, described
from openalign.data.loading.loader import BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.model import hub
from openalign.model.align import Align
from openalign.model.batch_norm import set_group
from openalign.progress import log
from openalign.training.optimization.optim import build_optimizer
from openalign.training.optimization.processes import Processes
from openalign.training.optimization.replica import Replica
from openalign.training.optimization.step import seed_step
from openalign.training.recipe.doubts import check_crop, doubts
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.checkpoint import (
    is_model_of,
    load_checkpoint_weights,
    put_model,
    save_checkpoint,
)
from openalign.training.run_folder.identity import Identity, identity_of, refuse_other_data
from openalign.training.run_folder.own_recipe import put_recipe
from openalign.training.run_folder.plan import Plan, Request, plan
from openalign.training.run_folder.prepare import clear_leftovers, set_aside
from openalign.training.run_folder.training_state import restore_state
from openalign.training.watch.held_out import HeldOut


@dataclass(frozen=True)
class Training:
    """What every step of a run works with."""

    recipe: Recipe
    run: Path
    pairs: Pairs
    loader: BatchLoader
    replica: Replica
    optimizer: torch.optim.Optimizer
    tokenizer: Tokenizer
    held_out: HeldOut | None
    identity: Identity | None
    """Digests of the data and tokenizer; in the first process."""
    first_step: int
    """Steps done before this call."""

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


def set_up(request: Request, world: Processes) -> Training:
    """Plan a run, open its data, and build or restore its model; all processes call this.

    Raises:
        OpenAlignError: see `train`.
    """
    planned = world.from_first(lambda: plan(request))
    run, recipe = request.run, planned.recipe
    _check_shares(recipe, world)
    check_crop(recipe)
    for doubt in doubts(recipe, world.world_size):
        log.warning(doubt)
    pairs = _open_data(recipe)
    tokenizer = hub.align_tokenizer(Path(recipe.tokenizer or ""))
    model = _build_model(planned, tokenizer, world)
    identity = world.from_first(lambda: _check_and_prepare(request, planned, pairs, tokenizer))

    replica = Replica(model, world, recipe.parallel, recipe.precision)
    optimizer = build_optimizer(model, recipe.optimizer)
    if planned.checkpoint is not None and planned.state is not None:
        restore_state(planned.checkpoint, planned.state, model, optimizer)
    held_out = None
    if recipe.held_out is not None:
        held_out = HeldOut.open(recipe.held_out, model, tokenizer)
        announce(held_out.pairs, "held-out data")
    with world.first_goes_ahead():  # the cache of decoded images is made once
        loader = _loader(recipe, run, pairs, tokenizer, planned.step, world)
    return Training(recipe, run, pairs, loader, replica, optimizer, tokenizer, held_out, identity, planned.step)


def _check_shares(recipe: Recipe, world: Processes) -> None:
    """Raise OpenAlignError unless the batch divides into equal shares, and they into micro-batches and groups."""
    share, left = divmod(recipe.batch_size, world.world_size)
    if left:
        raise OpenAlignError(f"batch_size {recipe.batch_size} does not divide by {world.world_size} processes.")
    micro = min(recipe.micro_batch_size or share, share)
    if share % micro:
        raise OpenAlignError(f"micro_batch_size {micro} does not divide the {share} pairs of each process.")
    if recipe.batch_norm_group is not None and micro % recipe.batch_norm_group:
        raise OpenAlignError(
            f"batch_norm_group {recipe.batch_norm_group} does not divide the {micro} pairs of a forward pass."
        )


def _open_data(recipe: Recipe) -> Pairs:
    pairs = open_pairs(
        recipe.data,
        image_column=recipe.image_column,
        text_column=recipe.text_column,
        where=recipe.where,
        split=recipe.split,
        layout=recipe.layout,
        strict=recipe.strict,
    )
    if len(pairs) < recipe.batch_size:
        raise OpenAlignError(
            f"{recipe.data}: {len(pairs):,} pairs are fewer than one batch of {recipe.batch_size:,}; "
            f"lower batch_size or give more data."
        )
    return pairs


def _build_model(planned: Plan, tokenizer: Tokenizer, world: Processes) -> Align:
    """The model as it stands before the next step, the same in every process."""
    recipe = planned.recipe
    seed_step(recipe.seed, recipe.steps)  # a step that never runs: initial weights draw from their own stream
    if recipe.start_from is not None and planned.checkpoint is None:
        model = _start_model(recipe, tokenizer)
    else:
        model = Align(recipe.model(tokenizer.size))
    model.to(world.device)
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


def _check_and_prepare(request: Request, planned: Plan, pairs: Pairs, tokenizer: Tokenizer) -> Identity:
    """Check that a resumed run goes on with its own data, then prepare its folder for writing."""
    announce(pairs)
    identity = identity_of(pairs, tokenizer)
    if planned.state is not None:
        refuse_other_data(planned.state.identity, identity, planned.recipe, request.changed)
    try:
        _prepare_folder(request.run, planned)
        _write_reading(request.run / "data.json", pairs)
    except OSError as error:
        where = error.filename or request.run
        raise OpenAlignError(f"{where}: cannot be written ({error.strerror}); nothing was trained.") from None
    return identity


def _prepare_folder(run: Path, planned: Plan) -> None:
    """Bring the folder into the state that the plan starts from: its recipe, its checkpoints and RUN/model."""
    run.mkdir(parents=True, exist_ok=True)
    clear_leftovers(run)
    for damage in planned.damaged:
        set_aside(damage.checkpoint, damage.reason, planned.step)
    put_recipe(run, planned.recipe, planned.own, planned.step)
    if planned.checkpoint is not None and not is_model_of(run / "model", planned.checkpoint):
        put_model(run, planned.checkpoint)


def _write_reading(file: Path, pairs: Pairs) -> None:
    """Keep how the data were read, and what was left out, beside the run's recipe."""
    with whole_file(file) as partial:
        partial.write_text(json.dumps(described(pairs), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _loader(
    recipe: Recipe, run: Path, pairs: Pairs, tokenizer: Tokenizer, first_step: int, world: Processes
) -> BatchLoader:
    settings = LoaderSettings.of(
        recipe,
        resize_size=recipe.resized,
        max_pieces=recipe.text_tower.max_pieces,
        pin_memory=world.device.type == "cuda",
    )
    return BatchLoader(
        pairs,
        tokenizer,
        settings,
        first_step=first_step,
        last_step=recipe.steps,
        rank=world.rank,
        world_size=world.world_size,
        cache=run / "cache" if recipe.cache_images else None,
    )
