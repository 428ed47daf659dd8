"""`meta.json` of an index: its size, model and sources."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from openalign.errors import OpenAlignError
from openalign.search.watched import DamagedIndex
from openalign.validation import requirement

VERSION = 2
"""Raised when vectors or files change: version 1 embedded large JPEGs from a smaller decode."""


@dataclass(frozen=True)
class Meta:
    """The contents of `meta.json`."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    rows: Annotated[int, Field(ge=0, lt=2**40)]
    width: Annotated[int, Field(ge=1, le=65_536)]
    model: Annotated[str, Field(min_length=1)]
    """Folder or hub name to load the model from."""
    model_name: str
    fingerprint: Annotated[str, Field(min_length=1)]
    """Hash of the model's weights and configuration, in hexadecimal."""
    sources: list[str]
    options: dict[str, str] = field(default_factory=dict)
    """How the sources were read: `image_column`, `text_column`, `split`, `layout`, where they were given."""
    read_as: list[str] = field(default_factory=list)
    """How each source was read, in a line."""
    lost: dict[str, int] = field(default_factory=dict)
    """The number of things of each kind that were left out."""
    version: int = VERSION


def read_meta(folder: Path) -> Meta:
    """`meta.json` of an index.

    Raises:
        OpenAlignError: `folder` is not an index, or has another version.
        DamagedIndex: a field is missing or unknown, or has a wrong type or value.
    """
    path = folder / "meta.json"
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a file")
        content = path.read_bytes()
        version = json.loads(content).get("version")
    except (FileNotFoundError, NotADirectoryError):
        raise OpenAlignError(
            f"{folder} is not an index; make one with `openalign index PATH --model MODEL --to {folder}`."
        ) from None
    except (OSError, ValueError, AttributeError, RecursionError):
        raise DamagedIndex(f"{path} is damaged; build the index again.") from None
    if version != VERSION:
        raise OpenAlignError(
            f"{folder} has index version {version}, this openalign reads {VERSION}; build the index again."
        )
    try:
        return TypeAdapter(Meta).validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise DamagedIndex(f"{path} is damaged; build the index again (`{field}` {requirement(problem)}).") from None
