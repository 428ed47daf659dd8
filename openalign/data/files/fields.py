"""What a field of a table is by its form: the path of an image file, a URL, a number."""

import re
from collections.abc import Iterable

_IMAGE_FILE = re.compile(
    rb"(?:.*[^\s/\\.])?\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic|jxl|svg)(?:[?#]\S*)?", re.IGNORECASE | re.DOTALL
)
_URL = re.compile(rb"(?:https?|s3|gs|file|ftp)://\S+|data:image/", re.IGNORECASE)


def image_like(field: bytes) -> bool:
    """Whether a field looks like the path or the URL of an image."""
    return path_kind(field) in ("file", "url")


def path_kind(field: bytes) -> str:
    """What the form of a field tells about it: `file`, `url`, `number`, or "" for anything else."""
    value = field.strip().strip(b'"').strip()
    if _URL.match(value):
        return "url"
    if names_image_file(value) and len(value) < 1024:
        return "file"
    return "number" if value.isdigit() else ""


def names_image_file(field: bytes) -> bool:
    """Whether a field ends as the names of image files do, in a path or a URL."""
    return _IMAGE_FILE.fullmatch(field.strip()) is not None


_NAME_AND_REST = re.compile(rb"([^\s,;|]+) +([^\s,;|].*)")
_NUMBERS = re.compile(rb"[-\d.]+(?:[ ,]+[-\d.]+)+")


def with_tab(line: bytes) -> bytes | None:
    """A line that is the name of an image file, a blank and something else, with a tab in place of the blank.

    None for any other line, also for one with a tab, another image or several numbers, such as a box.
    """
    found = _NAME_AND_REST.fullmatch(line.strip())
    if found is None or b"\t" in line or not names_image_file(found[1].partition(b"#")[0]):
        return None
    rest = found[2]
    return None if image_like(rest) or _NUMBERS.fullmatch(rest) else found[1] + b"\t" + rest


def separated_by_blanks(lines: Iterable[bytes]) -> bool:
    """Whether a blank separates the name of an image from the rest in all lines, of which there are some."""
    filled = [line for line in lines if line.strip()]
    return bool(filled) and all(with_tab(line) is not None for line in filled)
