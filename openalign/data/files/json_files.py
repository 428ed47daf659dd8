"""Untrusted JSON files: type and size of the file are checked before it is opened."""

import json
import stat
from pathlib import Path
from typing import Any

from openalign.data.files.damage import reason_of
from openalign.errors import OpenAlignError

MOST_BYTES = 16 * 2**20
"""Largest configuration that is read; one with the 21,841 classes of ImageNet-21k has 2 MB."""

MOST_LEVELS = 64
"""Deepest nesting of lists and objects."""


def check_file(path: Path, most_bytes: int) -> None:
    """Check that `path` is a regular file (opening a FIFO waits for ever) of at most `most_bytes`.

    Symbolic links are followed: the cache of the Hugging Face hub consists of them.

    Raises:
        OpenAlignError: the file does not exist, is not a regular file, or is larger.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror}).") from None
    if not stat.S_ISREG(status.st_mode):
        raise OpenAlignError(f"{path}: is not a regular file, so it is not opened.")
    if status.st_size > most_bytes:
        raise OpenAlignError(f"{path}: has {status.st_size:,} bytes; at most {most_bytes:,} are read.")


def read_object(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object in a file; all numbers in it are finite and no object repeats a key.

    Raises:
        OpenAlignError: the file cannot be read, is too large, or holds something else.
    """
    content = read_json(path, most_bytes)
    if not isinstance(content, dict):
        raise OpenAlignError(f"{path}: must hold a JSON object ({{...}}), not {_kind(content)}.")
    return content


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """Whatever JSON a file holds; all numbers in it are finite and no object repeats a key.

    Raises:
        OpenAlignError: the file cannot be read, is too large, or is not JSON.
    """
    check_file(path, most_bytes)
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise OpenAlignError(f"{path}: is nested deeper than {MOST_LEVELS} levels.") from None
    except (OSError, ValueError) as error:
        raise OpenAlignError(f"{path}: cannot be read as JSON: {reason_of(error)}.") from None
    if _levels(content) > MOST_LEVELS:
        raise OpenAlignError(f"{path}: is nested deeper than {MOST_LEVELS} levels.")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Parsers disagree on which of two equal keys counts, so the value that was checked might not be the one used.
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key `{key}` occurs twice")
        found[key] = value
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits} is too large for a number")
    return number


def _kind(content: Any) -> str:
    names = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(content), "a number")


def _levels(content: Any) -> int:
    """How deeply lists and objects are nested; computed without recursion, which has a limit of its own."""
    level, at_level = 0, [content] if isinstance(content, dict | list) else []
    while at_level:
        level += 1
        inner = [item for each in at_level for item in (each.values() if isinstance(each, dict) else each)]
        at_level = [item for item in inner if isinstance(item, dict | list)]
    return level
