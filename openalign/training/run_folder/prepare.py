"""A run's folder before the first step: renames finished, leftovers removed, damaged checkpoints set aside."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from openalign.files import recover_folder
from openalign.progress import log

_LEFTOVER = re.compile(r"\..+\.partial(\.\w+)?")
"""Names of unfinished files and folders, see `openalign.files`."""
_RECOVERABLE = re.compile(r"\.(step-\d+|model)\.(whole|older)")


def recover(run: Path) -> None:
    """Finish the renames of a killed run: a checkpoint or model that was complete gets its name."""
    for path in _entries(run):
        if (name := _RECOVERABLE.fullmatch(path.name)) is not None:
            recover_folder(path.with_name(name[1]))


def clear_leftovers(run: Path) -> None:
    """Remove the unfinished files of killed runs."""
    for path in _entries(run):
        if _LEFTOVER.fullmatch(path.name) is None:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def set_aside(checkpoint: Path, reason: str, step: int) -> None:
    """Rename a damaged checkpoint, so that it is neither counted nor in the way; the run resumes from `step`."""
    free = (checkpoint.with_name(f"damaged-{checkpoint.name}{end}") for end in ("", *(f".{i}" for i in range(2, 1000))))
    aside = next(path for path in free if not path.exists())
    checkpoint.rename(aside)
    log.warning(f"{reason}. Going on from step {step:,} instead; the damaged checkpoint is now {aside}.")


def _entries(run: Path) -> Iterator[Path]:
    for folder in (run, run / "checkpoints"):
        yield from sorted(folder.iterdir()) if folder.is_dir() else ()
