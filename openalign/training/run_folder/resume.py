"""Where a run begins or goes on: its newest whole checkpoint, and the recipe that it was begun with."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openalign.checksums import CHECKSUMS, check_beside, check_files, read_checksums
from openalign.errors import OpenAlignError
from openalign.files import recover_folder, whole_checked_file
from openalign.model import hub
from openalign.progress import say
from openalign.training.recipe.changes import differences, is_changed, refuse_differences
from openalign.training.recipe.recipe import Recipe, read_recipe, write_recipe
from openalign.training.run_folder.checkpoint import checkpoints_of, is_model_of, put_model
from openalign.training.run_folder.identity import Identity
from openalign.training.run_folder.remains import refuse_remains, say_that_it_begins
from openalign.training.run_folder.training_state import TrainingState, read_state

RECIPE = "recipe.toml"
_LEFTOVER = re.compile(r"\..+\.partial(\.\w+)?")
"""Names of what is being written, see `files`."""
_RECOVERABLE = re.compile(r"\.(step-\d+|model)\.(whole|older)")
_DATA_KEYS = ("data", "where", "image_column", "text_column")


@dataclass(frozen=True)
class Asked:
    """What the user wants to be run."""

    recipe: str | Path | None
    """None: the recipe of the run that is gone on with."""
    settings: Mapping[str, str]
    """Changes to it, dotted keys to TOML values."""
    changed: Mapping[str, str]
    """Likewise, and these may be other than in the run that is gone on with."""
    resume: bool


@dataclass(frozen=True)
class Damage:
    """A checkpoint that cannot be gone on from, and why."""

    checkpoint: Path
    reason: str


@dataclass(frozen=True)
class Plan:
    """How a run begins; made by the first process, followed by all."""

    recipe: Recipe
    own: Recipe | None = None
    """The run's recipe so far."""
    checkpoint: Path | None = None
    state: TrainingState | None = None
    """Of that checkpoint."""
    damaged: tuple[Damage, ...] = ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step if self.state is not None else 0


def plan(run: Path, asked: Asked) -> Plan:
    """Find out where to begin; changes nothing in the run's folder but to end what a killed run was about to rename.

    The lock of `run` must be held.

    Raises:
        OpenAlignError: a bad recipe, one that is not the run's, a run that is there although `resume` is off, or no
            whole checkpoint among those that are there.
    """
    recover(run)
    found = checkpoints_of(run)
    if found and not asked.resume:
        raise OpenAlignError(f"{run}: already holds a run; add --resume to go on with it, or choose another --to.")
    checkpoint, state, damaged = newest_whole(found)
    if checkpoint is None:
        refuse_remains(run)
        if asked.recipe is None and not (run / RECIPE).is_file():
            raise OpenAlignError(f"{run}: holds no run to go on with; give a RECIPE to begin one.")
        if asked.resume:
            say_that_it_begins(run)
        return Plan(_shaped(read_recipe(asked.recipe or run / RECIPE, asked.settings, asked.changed)))
    own_file = _own_recipe(run, checkpoint)
    own = read_recipe(own_file)
    recipe = read_recipe(asked.recipe or own_file, asked.settings, asked.changed)
    if asked.recipe is not None:
        recipe = _shaped(recipe)
    refuse_differences(run, own, recipe, asked.changed)
    if state is not None and recipe.steps < state.step:
        raise OpenAlignError(f"{run}: is at step {state.step:,} already, which is more than steps = {recipe.steps:,}.")
    if read_checksums(checkpoint) is None:
        say(f"{checkpoint}: has no checksums, as older versions of openalign wrote none: its files are not checked.")
    return Plan(recipe, own, checkpoint, state, tuple(damaged))


def newest_whole(checkpoints: list[Path]) -> tuple[Path | None, TrainingState | None, list[Damage]]:
    """The newest checkpoint that is as it was written, its state, and those after it, which are not.

    None twice where there are no checkpoints.

    Raises:
        OpenAlignError: there are checkpoints, and none is whole.
    """
    damaged: list[Damage] = []
    for place, checkpoint in reversed(list(enumerate(checkpoints))):
        try:
            _check_has_checksums(checkpoint, checkpoints[:place])
            check_files(checkpoint, read_checksums(checkpoint) or (), "it is damaged")
            return checkpoint, read_state(checkpoint), damaged
        except OpenAlignError as error:
            damaged.append(Damage(checkpoint, str(error)))
    if damaged:
        raise OpenAlignError(
            f"{damaged[0].checkpoint.parent}: no checkpoint is whole ({'; '.join(each.reason for each in damaged)}): "
            "restore one from a copy, or begin anew with another --to."
        )
    return None, None, []


def _check_has_checksums(checkpoint: Path, older: list[Path]) -> None:
    """Older versions of openalign wrote none, but one that wrote them goes on doing so."""
    if not (checkpoint / CHECKSUMS).exists() and any((each / CHECKSUMS).exists() for each in older):
        raise OpenAlignError(f"{checkpoint / CHECKSUMS} is missing: it is damaged")


def refuse_other_data(before: Identity | None, now: Identity, recipe: Recipe, changed: Mapping[str, str]) -> None:
    """Refuse to go on with other pairs or another tokenizer under the same name, unless these are `changed` on purpose.

    Raises:
        OpenAlignError: names what is not the same.
    """
    if before is None:
        return
    if now.pairs_digest != before.pairs_digest and not any(is_changed(key, changed) for key in _DATA_KEYS):
        raise OpenAlignError(
            f"{recipe.data}: {_how_other(before.pairs, now.pairs)} than those that the run has learned from: bring "
            f"these back, or go on with the others on purpose with --change data={recipe.data}"
        )
    if now.tokenizer_digest != before.tokenizer_digest and not is_changed("tokenizer", changed):
        raise OpenAlignError(
            f"{recipe.tokenizer}: is another tokenizer than the run was begun with: bring that back (each checkpoint "
            f"holds it), or go on with this one on purpose with --change tokenizer={recipe.tokenizer}"
        )


def prepare(run: Path, planned: Plan) -> None:
    """Make the run's folder what the plan says: damaged checkpoints aside, the recipe written, RUN/model put right.

    Raises:
        OpenAlignError: the disk is full or cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(run)
        for damage in planned.damaged:
            _set_aside(damage, planned.step)
        _put_recipe(run, planned)
        if planned.checkpoint is not None and not is_model_of(run / "model", planned.checkpoint):
            put_model(run, planned.checkpoint)
    except OSError as error:
        raise OpenAlignError(
            f"{error.filename or run}: cannot be written ({error.strerror}); nothing was trained."
        ) from None


def recover(run: Path) -> None:
    """End what a killed run was about to rename: a checkpoint or model that was complete gets its name."""
    for folder in (run, run / "checkpoints"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (name := _RECOVERABLE.fullmatch(path.name)) is not None:
                recover_folder(folder / name[1])


def _own_recipe(run: Path, checkpoint: Path) -> Path:
    """The file with the run's recipe: RUN/recipe.toml, else the checkpoint's, which says it as of that step."""
    try:
        _check_recipe(run / RECIPE)
    except OpenAlignError as error:
        if not (checkpoint / RECIPE).is_file():
            raise
        say(f"{str(error).rstrip('.')}. The recipe of its checkpoint is taken instead, {checkpoint / RECIPE}.")
        return checkpoint / RECIPE
    return run / RECIPE


def _check_recipe(file: Path) -> None:
    """Raise OpenAlignError unless a run's recipe is there, can be read and is as it was written."""
    if not file.exists():
        raise OpenAlignError(f"{file}: is missing.")
    read_recipe(file)
    check_beside(file, "settings are changed with --change, not in this file")


def _shaped(recipe: Recipe) -> Recipe:
    if recipe.start_from is None:
        return recipe
    start = hub.folder_of(recipe.start_from)
    return recipe.shaped_like(hub.align_settings(start), start)


def _put_recipe(run: Path, planned: Plan) -> None:
    """Write the recipe; one that decided other weights up to here is kept beside it."""
    if planned.own is not None and differences(planned.own, planned.recipe):
        kept = run / f"recipe.before-step-{planned.step:08d}.toml"
        if not kept.exists():
            write_recipe(planned.own, kept)
    file = run / RECIPE
    if planned.own is None or planned.own != planned.recipe or not _is_whole(file):
        if planned.own is not None and file.exists() and not _is_whole(file):
            file.rename(run / "recipe.damaged.toml")
        with whole_checked_file(file) as partial:
            write_recipe(planned.recipe, partial)


def _is_whole(recipe: Path) -> bool:
    try:
        _check_recipe(recipe)
    except OpenAlignError:
        return False
    return True


def _set_aside(damage: Damage, step: int) -> None:
    """Out of the way of the checkpoint that will be written for its step, and of those that are counted and kept."""
    folder = damage.checkpoint
    free = (folder.with_name(f"damaged-{folder.name}{end}") for end in ("", *(f".{i}" for i in range(2, 1000))))
    aside = next(path for path in free if not path.exists())
    folder.rename(aside)
    say(f"{damage.reason}. Going on from step {step:,} instead; the damaged checkpoint is now {aside}.")


def _clear_leftovers(run: Path) -> None:
    """Remove what killed runs had begun to write."""
    for folder in (run, run / "checkpoints"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _LEFTOVER.fullmatch(path.name) is None:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _how_other(before: int, now: int) -> str:
    return f"holds {now:,} pairs, not {before:,}, others" if now != before else "holds other pairs"
