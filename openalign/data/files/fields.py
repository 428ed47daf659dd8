"""What a field of a table is by its form: the path of an image file, a URL, a number."""

import re

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
