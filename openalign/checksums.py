"""Sizes and checksums of the files of a folder, kept in it as `checksums.json`, so that damage is told before use.

Every folder that is written whole has one. A file is checked before native code maps or parses it: a damaged search
graph or weight file could otherwise end the process, or answer wrongly in silence.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError
from openalign.regular import opened_regular, read_regular

CHECKSUMS = "checksums.json"
_MOST_BYTES = 1 << 28
"""Of a `checksums.json`, which takes about 130 bytes a file."""


@dataclass(frozen=True)
class Checksum:
    """What a file must be."""

    bytes: int
    sha256: str
    """In hexadecimal."""


def checksum_of(path: Path) -> Checksum:
    """Size and SHA-256 of a file's content."""
    with opened_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Checksum(os.fstat(file.fileno()).st_size, digest)


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` for all files that lie in and below `folder`; one that is there is replaced."""
    files = {
        path.relative_to(folder).as_posix(): asdict(checksum_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / CHECKSUMS
    }
    content = json.dumps({"files": files, "sha256": _digest(files)}, indent=2) + "\n"
    partial = folder / f".{CHECKSUMS}.partial"  # beside it and renamed: the older one may be a hard link
    partial.write_text(content, encoding="utf-8")
    partial.replace(folder / CHECKSUMS)


def read_checksums(folder: Path) -> dict[str, Checksum] | None:
    """The checksums of a folder's files by their relative path; None where the folder has none.

    Raises:
        OpenAlignError: `checksums.json` is damaged itself.
    """
    path = folder / CHECKSUMS
    try:
        content = json.loads(read_regular(path, _MOST_BYTES))
        if content["sha256"] != _digest(content["files"]):
            raise ValueError("its own checksum does not match")
        return {name: Checksum(**fields) for name, fields in content["files"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OpenAlignError(
            f"{path} is damaged ({error}): make or fetch {folder} again; if only this file is damaged, delete it"
        ) from None


def check_files(folder: Path, names: Iterable[str], advice: str) -> None:
    """Check that each of these files in `folder` is as it was written.

    Does nothing where the folder has no `checksums.json`, and leaves out files that it does not list, which somebody
    put there later.

    Raises:
        OpenAlignError: a listed file is missing, or of another size or content; `advice` says what to do then.
    """
    known = read_checksums(folder)
    for name in names if known else ():
        if (expected := (known or {}).get(name)) is not None:
            _check_file(folder / name, expected, advice)


def check_beside(file: Path, advice: str) -> None:
    """Check a file that stands alone against its `FILE.sha256`, which `sha256sum -c` reads too; if it has one.

    Raises:
        OpenAlignError: its content is another one.
    """
    try:
        stated = read_regular(checksum_file(file), _MOST_BYTES).decode(errors="replace").partition(" ")[0]
        differs = checksum_of(file).sha256 != stated
    except FileNotFoundError:
        return
    except OSError as error:
        raise OpenAlignError(f"{error.filename or file} cannot be read ({error.strerror}): {advice}") from None
    if differs:
        raise OpenAlignError(f"{file} is not as it was written (its checksum differs): {advice}")


def checksum_file(file: Path) -> Path:
    """`tokenizer.json` -> `tokenizer.json.sha256`."""
    return file.with_name(f"{file.name}.sha256")


def _check_file(path: Path, expected: Checksum, advice: str) -> None:
    try:
        size = path.stat().st_size
        if size != expected.bytes:
            raise OpenAlignError(f"{path} has {size:,} bytes instead of {expected.bytes:,}: {advice}")
        if checksum_of(path) != expected:
            raise OpenAlignError(f"{path} is not as it was written (its checksum differs): {advice}")
    except OSError as error:
        raise OpenAlignError(f"{path} cannot be read ({error.strerror}): {advice}") from None


def _digest(files: Any) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
