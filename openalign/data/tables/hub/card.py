"""The YAML at the start of a dataset card, the `README.md` of a dataset on the Hugging Face hub."""

from pathlib import Path
from typing import Any

_MOST_BYTES = 16 << 20


def card_of(folder: Path, *, about: bytes) -> dict[str, Any]:
    """What the card in a folder says; nothing if there is none, or `about` is nowhere in it."""
    content = content_of(folder / "README.md").lstrip(b"\xef\xbb\xbf \r\n")
    front = content.partition(b"---")[2].partition(b"\n---")[0] if content.startswith(b"---") else b""
    if about not in front:
        return {}
    import yaml  # type: ignore[import-untyped]  # imported late: hardly any data need it

    try:
        found = yaml.safe_load(front)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def content_of(path: Path) -> bytes:
    """The bytes of a small file; none if there is none."""
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _MOST_BYTES else b""
    except OSError:
        return b""
