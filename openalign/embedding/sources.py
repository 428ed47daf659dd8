"""What is embedded: opened with one row an image, and named so that it is found again from anywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from openalign.data.announce import announce
from openalign.data.arrow import strings
from openalign.data.files.remote import is_url, local_path
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.find import is_pattern
from openalign.errors import OpenAlignError


def open_source(source: str | Path, options: Mapping[str, str], *, announced: bool = False) -> Pairs:
    """The images of a source, a row each, with all texts of an image as `joined` writes them.

    `options` are those of `open_pairs` about columns, split and layout. Raises what it raises.
    """
    pairs = open_pairs(
        source,
        need_text=False,
        image_column=options.get("image_column"),
        text_column=options.get("text_column"),
        split=options.get("split"),
        layout=options.get("layout"),
    )
    if announced:
        announce(pairs, f"{source}:")
    images, texts = pairs.one_per_image()
    column = strings([joined(each) if each else None for each in texts])
    return replace(images, table=images.table.set_column(images.table.column_names.index("text"), "text", column))


def joined(texts: Iterable[str | None]) -> str | None:
    """Distinct texts, one a line; None if there is none."""
    lines = dict.fromkeys(" ".join(text.split()) for text in texts if text)
    return "\n".join(line for line in lines if line) or None


def permanent_name(source: str | Path) -> str:
    """A name that is valid in every working directory: an absolute path, a URL or a hub name."""
    name = str(source)
    name = local_path(name) if name.startswith("file://") else name
    if is_url(name):
        return name
    if not Path(name).exists():
        return str(Path.cwd() / name) if is_pattern(name) else name
    path = str(Path(name).resolve())
    try:
        path.encode()
    except UnicodeEncodeError:
        raise OpenAlignError(f"{path!r} is not UTF-8 and cannot be stored in an index: rename it.") from None
    return path
