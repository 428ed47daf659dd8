"""A row of an index: one image, with its texts and all that is known of it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

DIGEST_BYTES = 16


@dataclass(frozen=True)
class Row:
    """One indexed image."""

    row: int
    image: str
    """The absolute path of an image in a file of its own; else its path or URL as in its source."""
    text: str | None
    """All of its texts, one a line (see `embedding.sources.joined`)."""
    page: str | None
    width: int
    """Pixels, as shown (after EXIF orientation); so is `height`."""
    height: int
    source: int
    """Index into `Meta.sources`."""
    name: str
    """The image's path or URL as in its source."""
    digest: bytes
    """BLAKE2b (16 bytes) of the image file."""
    date: str | None = None
    """When it was taken (EXIF), in ISO 8601."""
    latitude: float | None = None
    """Where it was taken (EXIF), in degrees; so is `longitude`."""
    longitude: float | None = None
    folder: str | None = None
    """The folders in its name; "" if there is none."""
    bytes: int = 0
    """Of the image file."""
    label: str | None = None
    """Its class, if the source has any."""
    fields: str | None = None
    """The other columns of its table, as a JSON object of texts and numbers."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the image, in the order of its source."""
        return tuple((self.text or "").split("\n")) if self.text else ()

    @property
    def columns(self) -> dict[str, Any]:
        """The other columns of its table, by name."""
        return dict(json.loads(self.fields)) if self.fields else {}


def digest_of(data: bytes) -> bytes:
    """The identity of an image file: BLAKE2b of its bytes."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
