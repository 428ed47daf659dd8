"""What the writer is told: how a source lists an image, and what a new image is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from openalign.embedding.sources import joined
from openalign.search.store.vectors import Vectors16


class Listed(NamedTuple):
    """An image as its source lists it now, with the columns of `files` in their order."""

    source: int
    """Index into `Meta.sources`."""
    name: str
    """Path or URL as in the source."""
    copy: int
    """How many rows of this name are before it in the source."""
    stamp: str
    """Changes when the stored image may have changed (size and time of its file); "" if nothing tells."""
    path: str | None
    """Of an image in a file of its own: relative to the source, or absolute."""
    text: str | None
    page: str | None
    label: str | None
    fields: str | None
    """The other columns, as a JSON object."""


@dataclass(frozen=True)
class Facts:
    """What is known of an image from its file alone."""

    width: int
    """Pixels, as shown (after EXIF orientation); so is `height`."""
    height: int
    bytes: int
    date: str | None = None
    """When it was taken, in ISO 8601."""
    latitude: float | None = None
    """In degrees; so is `longitude`."""
    longitude: float | None = None


class Sketch(NamedTuple):
    """What finds candidates for near-duplicates of an image (`openalign.search.derived.grouping`)."""

    hash: int
    """Perceptual hash, as a signed 64-bit integer."""
    grey: bytes
    """The thumbnail in 8 x 8 grey levels."""


@dataclass(frozen=True)
class NewImage:
    """An image whose bytes the index does not have yet; the first of `listed` gives it its name."""

    digest: bytes
    facts: Facts
    thumbnail: bytes
    vector: Vectors16
    listed: list[Listed] = field(default_factory=list)
    sketch: Sketch | None = None
    """Of the thumbnail, if it shows anything."""


def derived_from(names: Sequence[Listed]) -> dict[str, Any]:
    """What the row of an image says by its names: all texts, and the first value of everything else."""
    first = names[0]
    texts = [line for each in names for line in (each.text or "").split("\n")]
    page, label, fields = (
        next((value for each in names if (value := getattr(each, column))), None)
        for column in ("page", "label", "fields")
    )
    folder = str(PurePosixPath(first.name).parent)
    return {
        "image": first.name, "path": first.path, "source": first.source, "text": joined(texts), "page": page,
        "label": label, "fields": fields, "folder": "" if folder == "." else folder,
    }  # fmt: skip
