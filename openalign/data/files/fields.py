"""What a field of a table is by its form: the path of an image file, a URL, a number."""

import re
from collections.abc import Callable, Iterable, Sequence

_IMAGE_FILE = re.compile(
    rb"(?:.*[^\s/\\.])?\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic|jxl|svg)(?:[?#]\S*)?", re.IGNORECASE | re.DOTALL
)
AreImages = Callable[[Sequence[str]], Sequence[bool]]
"""Tells of each value whether it names an image that is there; of none where they may do so by chance."""
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


def tab_for_blank(lines: Sequence[bytes], are_images: AreImages | None) -> Callable[[bytes], bytes | None] | None:
    """What puts a tab in place of the blank after the name of an image in each line; None if they have no such blank.

    `are_images` tells ids of images, as in `1025794 Boeing 707`; what follows these must be more than numbers.
    """
    if separated_by_blanks(lines):
        return with_tab
    parts = after_first_blanks(lines)
    if are_images is None or len(parts) < 2 or all(_NUMBERS.fullmatch(rest) for _, rest in parts):
        return None
    are_ids = any(are_images([word.decode(errors="replace") for word, _ in parts]))
    return (lambda line: b"\t".join(line.strip().split(maxsplit=1))) if are_ids else None


def after_first_blanks(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """The first word of each line and the rest of it; empty if a line has a tab, or one word only."""
    found: list[tuple[bytes, bytes]] = []
    for line in lines:
        if words := line.strip().split(maxsplit=1):
            if len(words) < 2 or b"\t" in line:
                return []
            found.append((words[0], words[1]))
    return found
