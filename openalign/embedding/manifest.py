"""`manifest.json` of a folder of vectors: its model, its sources and its partitions."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.regular import read_regular
from openalign.validation import requirement

MANIFEST = "manifest.json"
VERSION = 1
"""Raised when the vectors or the columns of an image change."""
PARTITION = r"part-[0-9a-f]{24}\.parquet"
"""The name of a partition, as a regular expression; the hash is that of everything its rows depend on."""
_MOST_BYTES = 2**30

Count = Annotated[int, Field(ge=0, lt=2**40)]


@dataclass(frozen=True)
class Partition:
    """One Parquet file with the vectors of consecutive images of a source."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    file: Annotated[str, Field(pattern=f"^{PARTITION}$")]
    rows: Count
    width: Annotated[int, Field(ge=1, le=65_536)]
    """Width D of the vectors; so that partitions of several models are never mixed."""
    bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    left_out: list[Any] = field(default_factory=list)
    """What was left out, as `left_out.as_json` writes it."""


@dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    rows: Count
    """Images with a vector, in all partitions."""
    width: Annotated[int, Field(ge=1, le=65_536)]
    """Width D of the vectors."""
    model: Annotated[str, Field(min_length=1)]
    """Folder or hub name to load the model from."""
    model_name: str
    """The same as it was given."""
    fingerprint: Annotated[str, Field(min_length=1)]
    """Hash of the model's weights and configuration, in hexadecimal."""
    sources: list[str]
    """What was embedded; the column `source` counts them from 0."""
    options: dict[str, str]
    """How the sources were read: `image_column`, `text_column`, `split`, `layout`, where they were given."""
    read_as: list[str]
    """How each source was read, in a line."""
    thumbnails: bool
    texts: bool
    """Whether there is a column `text_vector`."""
    partition_rows: Annotated[int, Field(ge=1, lt=2**40)]
    """Images of a partition, on average."""
    partitions: list[Partition]
    """In the order of the sources."""
    lost: dict[str, int] = field(default_factory=dict)
    """The number of things of each kind that were left out."""
    problems: list[str] = field(default_factory=list)
    """The first messages on them."""
    version: Literal[1] = 1


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json`, which makes the partitions that it lists the content of the folder."""
    with whole_file(folder / MANIFEST) as partial:
        partial.write_text(json.dumps(asdict(manifest), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """`manifest.json` of a folder of vectors.

    Raises:
        OpenAlignError: `folder` has none, its version is another one, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        content = read_regular(path, _MOST_BYTES)
        version = json.loads(content).get("version")
    except (FileNotFoundError, NotADirectoryError):
        raise OpenAlignError(
            f"{folder} holds no vectors: it has no {MANIFEST}, which `openalign embed` writes at its end."
        ) from None
    except (OSError, ValueError, AttributeError, RecursionError):
        raise _damaged(path, "it is not a JSON object") from None
    if version != VERSION:
        raise OpenAlignError(f"{path} has version {version}, this openalign reads {VERSION}: embed the images again.")
    try:
        manifest = TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        raise _damaged(path, f"`{'.'.join(map(str, problem['loc']))}` {requirement(problem)}") from None
    if manifest.rows != sum(each.rows for each in manifest.partitions):
        raise _damaged(path, "its numbers of rows do not add up")
    if {each.width for each in manifest.partitions} - {manifest.width}:
        raise _damaged(path, "its partitions have vectors of several widths")
    return manifest


def is_vectors_folder(path: str | Path) -> bool:
    """Whether `path` is a folder that `openalign embed` finished."""
    try:
        return "partitions" in json.loads(read_regular(Path(path, MANIFEST), _MOST_BYTES))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _damaged(path: Path, why: str) -> OpenAlignError:
    return OpenAlignError(f"{path} is damaged ({why}): run `openalign embed` again.")
