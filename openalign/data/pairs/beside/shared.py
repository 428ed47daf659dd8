"""One text for several images of the same name, as `a.txt` beside `a.jpg` and `a.png`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.decode import decode, resize
from openalign.errors import OpenAlignError

_COMPARED = 100
"""Texts whose images are compared."""
_SIDE = 16
_MOST_APART = 12.0
"""Mean difference of the pixels, of 255, up to which two small pictures show the same: formats lose some detail."""
_STRETCHED = 1.1


def shared_texts(folder: Path, shared: Mapping[str, Sequence[str]]) -> list[str]:
    """A note on the texts that several images have, of which some show other things; none if all show the same.

    `shared` has the images of each text. The same picture in two formats is no doubt, and each image gets the text.
    """
    texts = list(shared)[:_COMPARED]
    differing = [text for text in texts if not _are_alike(folder, shared[text])]
    if not differing:
        return []
    images = ", ".join(shared[differing[0]])
    looked = f" of {len(texts):,} that were compared" if len(texts) < len(shared) else ""
    return [
        f"{folder}: {len(shared):,} texts have several images of their name, and {len(differing):,}{looked} of these "
        f"show different things, the first: {differing[0]} of {images}. Each image gets the text: name a text for each "
        "if that is wrong"
    ]


def _are_alike(folder: Path, images: Sequence[str]) -> bool:
    """Whether images show the same; true of one that cannot be read, which is told when it is."""
    contents = [content for image in images if (content := _content(folder / image)) is not None]
    if len(set(contents)) < 2:
        return True
    small = [found for content in contents if (found := _small(content)) is not None]
    return all(_close(small[0], other) for other in small[1:])


def _content(image: Path) -> bytes | None:
    try:
        return image.read_bytes()
    except OSError:
        return None


def _small(content: bytes) -> tuple[float, NDArray[np.float32]] | None:
    """Width by height, and (16, 16, 3) pixels; None if it cannot be decoded."""
    try:
        image = decode(content, _SIDE)
    except (OpenAlignError, ValueError):
        return None
    return image.shape[1] / image.shape[0], resize(image, _SIDE, _SIDE).astype(np.float32)


def _close(one: tuple[float, NDArray[np.float32]], other: tuple[float, NDArray[np.float32]]) -> bool:
    stretched = max(one[0], other[0]) / min(one[0], other[0])
    return stretched < _STRETCHED and float(np.abs(one[1] - other[1]).mean()) < _MOST_APART
