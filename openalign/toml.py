"""TOML files: read, written, and single values of them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from openalign.errors import OpenAlignError
from openalign.files import whole_file


def read_toml(file: Path) -> dict[str, Any]:
    """Read a file.

    Raises:
        OpenAlignError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise OpenAlignError(f"{file}: not a TOML file: {error}.") from None
    except OSError as error:
        raise OpenAlignError(f"{file}: cannot be read ({error.strerror}).") from None


def write_toml(values: Mapping[str, Any], path: Path) -> None:
    """Write a file, replacing an older one at once.

    Raises:
        OpenAlignError: a text is not UTF-8, which TOML cannot hold, such as an undecodable file name.
        OSError: the file cannot be written; an older one is unchanged.
    """
    try:
        content = tomli_w.dumps(values).encode()
    except UnicodeEncodeError as error:
        text = ascii(error.object[max(error.start - 20, 0) : error.end + 20])
        raise OpenAlignError(f"{path}: cannot hold {text}, which is not UTF-8: rename that file.") from None
    with whole_file(path) as partial:
        partial.write_bytes(content)


def parse_value(text: str) -> Any:
    """The right-hand side of KEY=VALUE: a TOML value if it is one, otherwise the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def format_value(value: Any) -> str:
    """A value in TOML on one line, so that `parse_value` returns it."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_format_key(key)} = {format_value(item)}" for key, item in value.items()) + "}"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _format_key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
