"""A run's folder without a checkpoint: whether a run may start there, or would overwrite the results of another."""

from pathlib import Path

from openalign.errors import OpenAlignError
from openalign.options import option
from openalign.training.recipe.recipe import read_recipe
from openalign.training.run_folder.log_file import read_records


def refuse_remains(run: Path) -> None:
    """Refuse a folder that holds the results of a run whose checkpoints are gone.

    A run that was killed before its first checkpoint left only lines of its log, which the next one writes again.

    Raises:
        OpenAlignError: what the folder holds and what to do.
    """
    found = [path.name for path in (run / "model", *sorted(run.glob("checkpoints/*"))) if _is_not_empty(path)]
    steps = max((record["step"] for record in read_records(run / "log.jsonl")), default=0)
    if steps > _first_checkpoint(run):
        found.append(f"a log of {steps:,} steps")
    if found:
        raise OpenAlignError(
            f"{run}: holds {', '.join(found)}, but no checkpoint to go on from: put the folder {run / 'checkpoints'} "
            f"back and add {option(resume=True)}, or choose another {option('to')}."
        )


def _is_not_empty(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    return any(folder.iterdir()) if folder.is_dir() else folder.exists()


def _first_checkpoint(run: Path) -> int:
    """The step of the run's first checkpoint according to its recipe; 0 without one."""
    try:
        return read_recipe(run / "recipe.toml").checkpoint_every_steps
    except OpenAlignError:
        return 0
