"""Sizes and checksums of a folder's files, stored in it as `checksums.json`, so that damage is detected before use.

Every folder written by `whole_folder` has one. Files are checked before native code maps or parses them: a damaged
search graph or weight file could crash the process or silently give wrong results.
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
"""Largest `checksums.json` that is read; it has about 130 bytes per file."""


@dataclass(frozen=True)
class Checksum:
    """Expected size and content of a file."""

    bytes: int
    sha256: str
    """In hexadecimal."""


def checksum_of(path: Path) -> Checksum:
    """Size and SHA-256 of a file's content."""
    with opened_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Checksum(os.fstat(file.fileno()).st_size, digest)


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` for all files in and below `folder`, replacing an existing one."""
    files = {
        path.relative_to(folder).as_posix(): asdict(checksum_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / CHECKSUMS
    }
    content = json.dumps({"files": files, "sha256": _digest(files)}, indent=2) + "\n"
    partial = folder / f".{CHECKSUMS}.partial"  # renamed, because the older one may be a hard link
    partial.write_text(content, encoding="utf-8")
    partial.replace(folder / CHECKSUMS)


def read_checksums(folder: Path) -> dict[str, Checksum] | None:
    """The checksums of a folder's files by relative path; None if the folder has none.

    Raises:
        OpenAlignError: `checksums.json` itself is damaged.
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
    """Check that each of these files in `folder` is unchanged since it was written.

    Files that `checksums.json` does not list, such as ones added later, are not checked, nor is any file without one.

    Raises:
        OpenAlignError: a listed file is missing or has another size or content; the message ends with `advice`.
    """
    known = read_checksums(folder)
    for name in names if known else ():
        if (expected := (known or {}).get(name)) is not None:
            _check_file(folder / name, expected, advice)


def check_beside(file: Path, advice: str) -> None:
    """Check a file against its `FILE.sha256`, if there is one; `sha256sum -c` reads the same format.

    Raises:
        OpenAlignError: the content differs.
    """
    try:
        stated = read_regular(checksum_file(file), _MOST_BYTES).decode(errors="replace").partition(" ")[0]
        differs = checksum_of(file).sha256 != stated
    except FileNotFoundError:
        return
    except OSError as error:
        raise OpenAlignError(f"{error.filename or file} cannot be read ({error.strerror}): {advice}") from None
    if differs:
        raise OpenAlignError(f"{file} has changed since it was written (its checksum differs): {advice}")


def checksum_file(file: Path) -> Path:
    """`tokenizer.json` -> `tokenizer.json.sha256`."""
    return file.with_name(f"{file.name}.sha256")


def _check_file(path: Path, expected: Checksum, advice: str) -> None:
    try:
        size = path.stat().st_size
        if size != expected.bytes:
            raise OpenAlignError(f"{path} has {size:,} bytes instead of {expected.bytes:,}: {advice}")
        if checksum_of(path) != expected:
            raise OpenAlignError(f"{path} has changed since it was written (its checksum differs): {advice}")
    except OSError as error:
        raise OpenAlignError(f"{path} cannot be read ({error.strerror}): {advice}") from None


def _digest(files: Any) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
