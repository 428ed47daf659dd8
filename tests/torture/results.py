"""What a run came to, to be compared with that of another run."""

from collections.abc import Callable
from pathlib import Path

from tests.torture.commands import contents


def result_of_training(run: Path) -> dict[str, str]:
    """The model and the newest training state of a run; its logs hold times."""
    newest = max((run / "checkpoints").glob("step-*"))
    return {f"model/{name}": digest for name, digest in contents(run / "model").items()} | contents(newest)


RESULTS: dict[str, Callable[[Path], dict[str, str]]] = {
    "curate": contents,
    "make_index": contents,
    "add_to_index": contents,
    "train": result_of_training,
}
"""By the name of a command of `Material`: what it writes into its folder, which two runs must have in common."""


def finished_work(folder: Path) -> dict[str, int]:
    """What killed runs into `folder` have finished, by name, with its inode: a file that is made again has another.

    A curation and an indexing keep finished batches in a folder beside theirs, a training its checkpoints.
    """
    found = [*folder.with_name(f".{folder.name}.cache").glob("steps/**/*.*")]
    found += folder.with_name(f".{folder.name}.work").glob("*/*.safetensors")
    found += folder.glob("checkpoints/step-*/model.safetensors")
    return {str(path): path.stat().st_ino for path in found if path.is_file() and path.name[0] != "."}
