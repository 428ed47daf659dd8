"""What an index says of itself: its size, model and sources; in the table `state`, with a copy in `meta.json`."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.options import option
from openalign.regular import read_regular
from openalign.search.mark import Mark
from openalign.search.store.checks import check_of
from openalign.search.watched import DamagedIndex
from openalign.validation import requirement

META = "meta.json"
VERSION = 4
"""Raised when vectors or files change: version 3 knew no near-duplicates."""
_MOST_BYTES = 2**26
_MOST_ROWS = 2**40


class NewerIndex(OpenAlignError):
    """An index that only a newer program can read."""


Count = Annotated[int, Field(ge=0, lt=_MOST_ROWS)]


@dataclass(frozen=True)
class GraphFile:
    """The graph of the first rows, and what its file must hold."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    rows: Count
    bytes: Count
    sha256: str


@dataclass(frozen=True)
class MapFile:
    """The map of the images (`search.map`), and what its file must hold."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    number: Count
    """In its name."""
    laid: Count
    """How many images there were when it was laid out."""
    bytes: Count
    sha256: str


@dataclass(frozen=True)
class Meta:
    """The contents of `state`."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    width: Annotated[int, Field(ge=1, le=65_536)]
    model: Annotated[str, Field(min_length=1)]
    """Folder or hub name to load the model from."""
    model_name: str
    fingerprint: Annotated[str, Field(min_length=1)]
    """Hash of the model's weights and configuration, in hexadecimal."""
    sources: list[str]
    """Paths and addresses; "" for a source that is no longer indexed."""
    model_beside: str | None = None
    """Where the model lies relative to the index folder, if it is near."""
    sources_beside: list[str | None] = field(default_factory=list)
    """Where each source lies relative to the index folder, if it is beside or below it."""
    options: dict[str, str] = field(default_factory=dict)
    """How the sources were read: `image_column`, `text_column`, `split`, `layout`, where they were given."""
    read_as: list[str] = field(default_factory=list)
    """How each source was read, in a line."""
    columns: list[str] = field(default_factory=list)
    """The names of further columns of the sources, which are in `fields`."""
    lost: dict[str, int] = field(default_factory=dict)
    """The number of things of each kind that were left out."""
    rows: Count = 0
    """Rows of the vectors, those of deleted images too."""
    deleted: Count = 0
    deleted_check: int = 0
    problems_check: int = 0
    compared: Count = 0
    """The last id of an image that was compared with those before it for near-duplicates."""
    alike_check: int = 0
    generation: Annotated[int, Field(ge=1)] = 1
    """Changes when rows are numbered anew."""
    graph: GraphFile | None = None
    mark: Mark | None = None
    """Where matches end; none in an index of an older program."""
    embed_texts: bool = False
    """Whether texts get vectors; false in an index of an older program, whatever it has."""
    texts: Count = 0
    """Texts with vectors; none unless they were asked for."""
    text_mark: Mark | None = None
    """Where matches end among these; its `neighbours` are images of the collection as queries."""
    map: MapFile | None = None
    """The map; none in an index of an older program, or of few images."""
    commits: Count = 0
    finished: bool = False
    """Whether the last run came to its end."""
    version: int = VERSION

    @property
    def embeds_texts(self) -> bool:
        """Whether texts get vectors in every run."""
        return self.embed_texts or self.texts > 0

    @property
    def images(self) -> int:
        """The number of images."""
        return self.rows - self.deleted

    @property
    def vectors_file(self) -> str:
        """The name of the file of vectors."""
        return f"vectors.{self.generation}.f16"

    @property
    def graph_file(self) -> str | None:
        """The name of the file of the graph, if there is one."""
        return f"graph.{self.generation}.{self.graph.rows}.usearch" if self.graph else None

    @property
    def map_file(self) -> str | None:
        """The name of the file of the map, if there is one."""
        return f"map.{self.map.number}.parquet" if self.map else None

    def as_json(self) -> str:
        """As `meta_from` reads it."""
        return json.dumps(asdict(self))


def meta_from(content: Any, where: str | Path) -> Meta:
    """The state in `content`, as `Meta.as_json` wrote it; raises DamagedIndex if it is not valid."""
    try:
        meta = TypeAdapter(Meta).validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        raise DamagedIndex(f"{where} is damaged; build the index again (`{name}` {requirement(problem)}).") from None
    graph_rows = meta.graph.rows if meta.graph else 0
    if max(meta.deleted, graph_rows) > meta.rows or len(meta.sources_beside) != len(meta.sources):
        raise DamagedIndex(f"{where} is damaged; build the index again (its numbers contradict each other).")
    return meta


def write_copy(folder: Path, meta: Meta) -> None:
    """Write `meta.json`, the copy of the state."""
    content = {"images": meta.images, **asdict(meta)}
    with whole_file(folder / META) as partial:
        partial.write_text(json.dumps(content | {"check": check_of(content)}, indent=2) + "\n", encoding="utf-8")


def read_commits(folder: Path) -> int:
    """How many transactions the index had at least: its table has lost some if it has fewer.

    Raises:
        NewerIndex: it has a later version.
        OpenAlignError: `folder` is not an index, or has an earlier version.
        DamagedIndex: `meta.json` is not as it was written.
    """
    path = folder / META
    try:
        content = json.loads(read_regular(path, _MOST_BYTES))
        version = content.get("version")
    except (FileNotFoundError, NotADirectoryError):
        to = "INDEX" if folder.exists() else folder  # never advise to write where other files are
        raise OpenAlignError(
            f"{folder} is not an index; make one with `openalign index PATH --model MODEL --to {to}`."
        ) from None
    except (OSError, ValueError, AttributeError, RecursionError):
        raise DamagedIndex(f"{path} is damaged; build the index again.") from None
    if isinstance(version, int) and version > VERSION:
        raise NewerIndex(
            f"{folder} was written by a newer openalign (index version {version}, this one reads {VERSION}): update "
            f"openalign, or build the index again with {option('re_embed')}."
        )
    if version != VERSION:
        raise OpenAlignError(
            f"{folder} has index version {version}, this openalign reads {VERSION}; build the index again: give the "
            "`openalign index` command that made it, and all images are embedded again."
        )
    check = content.pop("check", None)
    commits = content.get("commits")
    if check != check_of(content) or not isinstance(commits, int):
        raise DamagedIndex(f"{path} is damaged; build the index again.")
    return commits


def embedded_texts(folder: Path) -> bool:
    """Whether the texts of an index of any version have vectors, as `meta.json` says; False if it says nothing."""
    try:
        content = json.loads(read_regular(folder / META, _MOST_BYTES))
        return bool(content.get("embed_texts") or content.get("texts"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def beside(path: str, index: Path, most_up: int) -> str | None:
    """Where `path` lies relative to the folder `index`, if at most `most_up` folders further up; else None."""
    if not Path(path).is_absolute():  # a URL, or a name on the hub
        return None
    relative = os.path.relpath(path, index)
    return relative if Path(relative).parts.count("..") <= most_up else None


def placed(meta: Meta, folder: Path) -> Meta:
    """The state with the paths of model and sources as they are where the index is now."""
    sources = [_found(path, near, folder) for path, near in zip(meta.sources, meta.sources_beside, strict=True)]
    return replace(meta, model=_found(meta.model, meta.model_beside, folder), sources=sources)


def _found(path: str, near: str | None, folder: Path) -> str:
    """What lies beside the index, since it may have been moved with it; else the path that it had."""
    if near is None:
        return path
    here = os.path.normpath(folder / near)
    top = Path(here.partition("*")[0].partition("{")[0])
    return here if Path(here).exists() or (str(top) != here and top.parent.is_dir()) else path
