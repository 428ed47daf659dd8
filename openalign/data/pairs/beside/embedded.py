"""Captions in the image files of a folder, which are read where the user asks for them."""

from collections.abc import Sequence
from pathlib import Path

from openalign.data.files.json_files import check_file
from openalign.data.images.embedded import embedded_caption
from openalign.data.images.read import MOST_IMAGE_BYTES
from openalign.errors import OpenAlignError
from openalign.options import option

EMBEDDED = "embedded"
"""The text column that stands for the captions in the image files."""
_SAMPLE = 32
"""Images that are looked into where nobody asks for their captions."""
_START_BYTES = 1 << 18
_LONGEST_SHOWN = 60


def embedded_captions(folder: Path, images: Sequence[str]) -> list[str | None]:
    """The caption in each image file; None for none, also where a file cannot be read."""
    captions: list[str | None] = []
    for image in images:
        try:
            check_file(folder / image, MOST_IMAGE_BYTES)
            captions.append(embedded_caption((folder / image).read_bytes()))
        except (OSError, OpenAlignError):  # it is told when its pixels are read
            captions.append(None)
    return captions


def embedded_note(folder: Path, images: Sequence[str], where: str, **choice: str) -> list[str]:
    """A note if some of the images hold captions, which `choice` takes; nothing if none of the sampled ones does."""
    some = [images[len(images) * number // _SAMPLE] for number in range(_SAMPLE)] if len(images) > _SAMPLE else images
    found = {image: caption for image in some if (caption := _caption_at_start(folder / image)) is not None}
    if not found:
        return []
    first, caption = next(iter(found.items()))
    shown = " ".join(caption.split())
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
    of = f"{len(found):,} of {len(some):,}{' sampled' if len(some) < len(images) else ''}"
    return [
        f"{where}: {of} images hold a caption in the file itself, the first: {first} ({shown!r}); "
        f"{option(**choice, text_column=EMBEDDED)} takes these for the texts"
    ]


def _caption_at_start(file: Path) -> str | None:
    """The caption in the first bytes of a file, where most formats have it."""
    try:
        with file.open("rb") as stream:
            return embedded_caption(stream.read(_START_BYTES))
    except OSError:
        return None
