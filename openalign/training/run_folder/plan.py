"""Where a run starts: at step 0, or at its newest whole checkpoint with the recipe that it was started with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.checksums import CHECKSUMS, check_files, read_checksums
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.options import option
from openalign.progress import log
from openalign.training.recipe.changes import refuse_differences
from openalign.training.recipe.recipe import Recipe, read_recipe
from openalign.training.run_folder.checkpoint import checkpoints_of
from openalign.training.run_folder.own_recipe import RECIPE, own_recipe
from openalign.training.run_folder.prepare import recover
from openalign.training.run_folder.remains import refuse_remains
from openalign.training.run_folder.training_state import TrainingState, read_state


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    run: Path
    recipe: str | Path | None
    """None: the recipe of the run that is resumed."""
    settings: Mapping[str, Any]
    """Changes to it, full keys to TOML values."""
    changed: Mapping[str, Any]
    """Likewise; these may differ from the run that is resumed."""
    resume: bool


@dataclass(frozen=True)
class Damage:
    """A checkpoint that cannot be resumed from, and why."""

    checkpoint: Path
    reason: str


@dataclass(frozen=True)
class Plan:
    """How a run starts; made by the first process, followed by all."""

    recipe: Recipe
    own: Recipe | None = None
    """The run's recipe so far."""
    checkpoint: Path | None = None
    state: TrainingState | None = None
    """The state in that checkpoint."""
    damaged: tuple[Damage, ...] = ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step if self.state is not None else 0


def plan(request: Request) -> Plan:
    """Decide where to start. Changes nothing in the run's folder but finishes the renames of a killed run.

    The lock of the run's folder must be held.

    Raises:
        OpenAlignError: a bad recipe, one that is not the run's, an existing run although `resume` is off, or
            checkpoints none of which is whole.
    """
    run = request.run
    recover(run)
    found = checkpoints_of(run)
    if found and not request.resume:
        raise OpenAlignError(
            f"{run}: already holds a run; add {option(resume=True)} to go on with it, or choose another {option('to')}."
        )
    checkpoint, state, damaged = newest_whole(found)
    if checkpoint is None:
        return _plan_from_start(request)
    own_file = own_recipe(run, checkpoint)
    own = read_recipe(own_file)
    recipe = read_recipe(request.recipe or own_file, request.settings, request.changed)
    if request.recipe is not None:
        recipe = _shaped(recipe)
    refuse_differences(run, own, recipe, request.changed)
    if state is not None and recipe.steps < state.step:
        raise OpenAlignError(f"{run}: is at step {state.step:,} already, which is more than steps = {recipe.steps:,}.")
    if read_checksums(checkpoint) is None:
        log.warning(f"{checkpoint}: has no checksums, as older versions of openalign wrote none: it is not checked.")
    return Plan(recipe, own, checkpoint, state, tuple(damaged))


def _plan_from_start(request: Request) -> Plan:
    run = request.run
    refuse_remains(run)
    if request.recipe is None and not (run / RECIPE).is_file():
        raise OpenAlignError(f"{run}: holds no run to go on with; give a RECIPE to start one.")
    if request.resume:
        log.info(f"{run}: has no checkpoint yet; the run starts at step 0.")
    return Plan(_shaped(read_recipe(request.recipe or run / RECIPE, request.settings, request.changed)))


def newest_whole(checkpoints: list[Path]) -> tuple[Path | None, TrainingState | None, list[Damage]]:
    """The newest undamaged checkpoint, its state, and the damaged ones after it; (None, None, []) without checkpoints.

    Raises:
        OpenAlignError: there are checkpoints, and all are damaged.
    """
    damaged: list[Damage] = []
    for index, checkpoint in reversed(list(enumerate(checkpoints))):
        try:
            _check_has_checksums(checkpoint, checkpoints[:index])
            check_files(checkpoint, read_checksums(checkpoint) or (), "it is damaged")
            return checkpoint, read_state(checkpoint), damaged
        except OpenAlignError as error:
            damaged.append(Damage(checkpoint, str(error)))
    if damaged:
        raise OpenAlignError(
            f"{damaged[0].checkpoint.parent}: no checkpoint is whole ({'; '.join(each.reason for each in damaged)}): "
            f"restore one from a copy, or start anew with another {option('to')}."
        )
    return None, None, []


def _check_has_checksums(checkpoint: Path, older: list[Path]) -> None:
    """Versions of openalign that write no checksums are older than those that do, and so are their checkpoints."""
    if not (checkpoint / CHECKSUMS).exists() and any((each / CHECKSUMS).exists() for each in older):
        raise OpenAlignError(f"{checkpoint / CHECKSUMS} is missing: it is damaged")


def _shaped(recipe: Recipe) -> Recipe:
    if recipe.start_from is None:
        return recipe
    start = hub.folder_of(recipe.start_from)
    return recipe.shaped_like(hub.align_settings(start), start)
