"""An output folder lies apart from what is read."""

import glob
from collections.abc import Sequence
from pathlib import Path

from openalign.data.files.remote import is_url
from openalign.errors import UsageError


def check_apart(folder: Path, paths: Sequence[str | Path], verb: str) -> None:
    """Raise UsageError for a source in `folder`, which is written, or around it, which a next run would read.

    `verb` says what is done with the sources: `curate`.
    """
    for path in map(str, paths):
        if is_url(path):
            continue
        for named in [path] if Path(path).exists() else glob.glob(path, recursive=True):  # noqa: PTH207 - absolute too
            source = Path(named).resolve()
            if source.is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(source):
                raise UsageError(f"{named} and {folder} lie in one another: {verb} to a folder apart from what is read")
