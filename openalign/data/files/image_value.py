"""What a table says about where an image is: a path, an address, or the image itself written as text."""

import base64
import binascii
import os
import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from openalign.errors import OpenAlignError

_SHORTEST_BASE64 = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}\s*")
_SIGNATURES = ("/9j/", "_9j_", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk", "SUkqA", "TU0AK", "AAAA")
"""How JPEG, PNG, GIF, WebP, BMP, TIFF and AVIF begin in base64."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Form(StrEnum):
    """What a value is."""

    PATH = "path"
    FILE_URL = "file URL"
    HTTP_URL = "http(s) URL"
    OTHER_URL = "URL"
    DATA_URL = "data URL"
    BASE64 = "base64"


def form_of(value: str) -> Form:
    """What a value of an image column is, by its form alone."""
    start = value[:16].lstrip().lower()
    if start.startswith(("http://", "https://")):
        return Form.HTTP_URL
    if start.startswith("file:/"):
        return Form.FILE_URL
    if start.startswith("data:"):
        return Form.DATA_URL
    if _SCHEME.match(value.lstrip()):
        return Form.OTHER_URL
    return Form.BASE64 if _is_base64(value) else Form.PATH


def holds_image(value: str) -> bool:
    """Whether the value is the image itself."""
    return form_of(value) in (Form.DATA_URL, Form.BASE64)


def bytes_of(value: str) -> bytes:
    """The image that a `data:` URL (RFC 2397) or base64 holds. Raises `OpenAlignError` if it cannot be decoded."""
    value = value.strip()
    if form_of(value) is Form.BASE64:
        return _decoded(value)
    head, comma, data = value.partition(",")
    if not comma:
        raise OpenAlignError(f"the data: URL {value[:40]!r} has no comma before its data")
    if head.lower().rstrip().endswith(";base64"):
        return _decoded(unquote(data))
    return unquote_to_bytes(data)


def local_path(value: str) -> str:
    """The path in a value that is a path or a `file://` URL, whose %20 and %C3%A9 are decoded."""
    if form_of(value) is not Form.FILE_URL:
        return value
    path = urlsplit(value.strip().replace("?", "%3F").replace("#", "%23")).path
    return unquote(path)


def existing_file(folder: Path, value: str) -> Path:
    """The file that a path or `file://` URL names, relative to `folder`.

    If it is not there, the name is tried with slashes for backslashes, with accents composed or as characters of their
    own (NFC, NFD: macOS and archives made there differ), and with its suffix in the other case.
    """
    path = folder / local_path(value)
    if _is_there(path):
        return path
    return next((other for other in _otherwise_spelt(folder, path, value) if _is_there(other)), path)


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - false, not an error, for a name that is too long or no name at all


def _otherwise_spelt(folder: Path, path: Path, value: str) -> Iterator[Path]:
    if "\\" in value:
        yield folder / PureWindowsPath(value).as_posix()
    if value != value.strip():
        yield existing_file(folder, value.strip())
    name = local_path(value)
    if not name.isascii():
        yield from (folder / unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    if path.suffix:
        yield from (path.with_suffix(suffix) for suffix in (path.suffix.lower(), path.suffix.upper()))


def _is_base64(value: str) -> bool:
    if len(value) < _SHORTEST_BASE64 or not value.lstrip().startswith(_SIGNATURES):
        return False
    return _BASE64.fullmatch("".join(value.split())) is not None


def _decoded(text: str) -> bytes:
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        cut = "data characters" in str(error)
        raise OpenAlignError(f"its base64 {'is cut off' if cut else 'has characters that are not of base64'}") from None
