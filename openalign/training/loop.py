"""`train`: one run from its recipe to its last step."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError, UsageError
from openalign.locks import locked
from openalign.options import option
from openalign.progress import log, silenced
from openalign.settings import full_keys
from openalign.training.optimization.allocator import keep_freed_memory
from openalign.training.optimization.processes import LostProcess, processes
from openalign.training.recipe.changes import contradiction
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.plan import Request
from openalign.training.setup import set_up
from openalign.training.steps import TrainResult, how_to_resume, run_steps


def train(
    recipe: str | Path | None = None,
    *,
    set: Mapping[str, Any] | None = None,
    to: str | Path | None = None,
    resume: bool = False,
    change: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train a model from a recipe; under torchrun, every process calls this.

    Args:
        recipe: path of a TOML recipe, or the name of a bundled one; with `resume` the run's own by default.
        set: changes to it, keys to TOML values, such as {"optimizer.learning_rate": "2e-3"}.
        to: the run's folder; `runs/NAME` by default.
        resume: go on from the newest whole checkpoint in that folder, with the recipe that the run was started with.
        change: as `set`, with `resume`, for settings that decide the weights and are to differ from the run's.

    Raises:
        UsageError: an unknown or contradictory setting.
        OpenAlignError: a bad recipe, unreadable data, a folder that holds another run, a resumed run with another
            recipe or other data, no whole checkpoint, a full disk, a killed loader or process, a loss that is not
            finite.
        KeyboardInterrupt: stopped by Ctrl-C, SIGTERM or SIGHUP, after a checkpoint was written.
    """
    request = _request(recipe, set or {}, change or {}, to, resume)
    keep_freed_memory()
    try:
        with processes() as world, silenced(not world.first), ExitStack() as held:
            world.from_first(lambda: _hold(request.run, held))
            result = run_steps(set_up(request, world))
            minutes = result.seconds / 60
            log.info(f"Trained to step {result.steps:,} in {minutes:.1f} min; the model is in {result.model}")
            return result
    except LostProcess as error:
        raise OpenAlignError(f"{error}; {how_to_resume(request.run)}") from None


def _request(
    recipe: str | Path | None,
    given: Mapping[str, Any],
    change: Mapping[str, Any],
    to: str | Path | None,
    resume: bool,
) -> Request:
    """What the user asks for. Raises UsageError where it contradicts itself."""
    if recipe is None and (to is None or not resume):
        raise UsageError(f"name a recipe to train; only {option(resume=True)} with {option('to')} goes on without one.")
    settings, changed = full_keys(Recipe, given), full_keys(Recipe, change, "change")
    if (problem := contradiction(settings, changed, resume)) is not None:
        raise UsageError(problem)
    run = Path(to) if to is not None else Path("runs") / Path(recipe or "").stem
    return Request(run, recipe, settings, changed, resume)


def _hold(run: Path, held: ExitStack) -> None:
    """Lock the run's folder until `held` is closed. Raises OpenAlignError if another run holds it."""
    try:
        held.enter_context(locked(run))
    except OSError as error:
        raise OpenAlignError(
            f"{run}: cannot be locked ({error.strerror}); make room or choose another {option('to')}."
        ) from None
