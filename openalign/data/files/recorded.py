"""Files listed in the `checksums.json` of their folder or its parent folder are checked before they are parsed."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from openalign.checksums import CHECKSUMS, check_files


def check_recorded(files: Iterable[Path], advice: str) -> None:
    """Check each file that has a recorded checksum; the checksums of a folder are read once.

    Raises:
        OpenAlignError: a listed file has another size or content; the message ends with `advice`.
    """
    for parent, inside in groupby(sorted(files), lambda file: file.parent):
        for folder in (parent, parent.parent):
            if (folder / CHECKSUMS).exists():
                names = [(parent / file.name).relative_to(folder).as_posix() for file in inside]
                check_files(folder, names, advice)
                break
