"""The URLs of an image on this server, and what an image is called there."""

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlencode

from openalign.search.rows import Row


@dataclass(frozen=True)
class Links:
    """How answers refer to images."""

    key: str | None = None
    """Of the service. Browsers load images without headers of the page's, so with a key the URLs are signed by it."""
    whole_paths: bool = False
    """Whether `image` may be an absolute path; else it is folder and file."""

    def thumbnail(self, row: Row) -> str:
        """Path of the small JPEG. It changes when the image does, so it can be cached without limit."""
        return f"/api/thumbnails/{row.row}?{self._query(row)}"

    def original(self, row: Row) -> str:
        """Path of the image file; likewise."""
        return f"/api/images/{row.row}?{self._query(row)}"

    def image(self, row: Row) -> str:
        """What the source calls the image."""
        path = PurePath(row.image.removeprefix("file://"))
        if self.whole_paths or not path.is_absolute():
            return row.image
        return "/".join(path.parts[-2:]) if len(path.parts) > 2 else path.name

    def signature(self, row: int, version: str) -> str:
        """What stands for the key in the URL of an image."""
        message = f"{row} {version}".encode()
        return hmac.new((self.key or "").encode(), message, hashlib.sha256).hexdigest()[:32]

    def _query(self, row: Row) -> str:
        version = version_of(row)
        signed = {"s": self.signature(row.row, version)} if self.key is not None else {}
        return urlencode({"v": version, **signed})


def version_of(row: Row) -> str:
    """Changes when the image of a row does."""
    return row.digest.hex()[:8]
