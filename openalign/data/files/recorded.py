"""Files that the `checksums.json` of their folder, or of the folder above it, lists: checked before they are parsed."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from openalign.checksums import CHECKSUMS, check_files


def check_recorded(files: Iterable[Path], advice: str) -> None:
    """Check that each file is as its folder was written, where that has checksums; each folder's are read once.

    Raises:
        OpenAlignError: a listed file has another size or content; `advice` says what to do then.
    """
    for parent, inside in groupby(sorted(files), lambda file: file.parent):
        for folder in (parent, parent.parent):
            if (folder / CHECKSUMS).exists():
                names = [(parent / file.name).relative_to(folder).as_posix() for file in inside]
                check_files(folder, names, advice)
                break
