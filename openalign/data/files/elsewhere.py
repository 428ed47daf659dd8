"""Texts that lie in other folders than their images, or are spelled otherwise, and are told by their names alone."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

_OF_TEXTS = re.compile(r"(?<=[^/])[-_. ](?:captions?|texts?|txt|prompts?|descriptions?|desc)$")
_OF_IMAGES = re.compile(r"(?<=[^/])[-_. ](?:image|img|photo|picture)$")
_ENOUGH = 0.5
"""Share of the texts without an image that must have the name of one elsewhere: a few may by chance."""


def spelled_otherwise(images: Iterable[str], texts: Iterable[str]) -> dict[str, str]:
    """The image of each text that is the only one of its path but for case, and for how accents are written."""
    by_path = _by(images, lambda path: _folded(_stem(path)))
    found = {text: by_path.get(_folded(_stem(text)), []) for text in texts}
    return _each_once({text: images[0] for text, images in found.items() if len(images) == 1})


def called_as(images: Iterable[str], texts: Collection[str]) -> dict[str, str]:
    """The image of each text whose name says what it is, if most do: `a_caption.txt` of `a.jpg` or `a_image.jpg`."""
    by_path = _by(images, lambda path: _OF_IMAGES.sub("", _folded(_stem(path))))
    names = {text: _OF_TEXTS.sub("", _folded(_stem(text))) for text in texts}
    found = {text: by_path.get(name, []) for text, name in names.items()}
    sure = _each_once({text: images[0] for text, images in found.items() if len(images) == 1})
    return sure if len(sure) >= _ENOUGH * len(texts) else {}


def in_other_folders(
    images: Iterable[str], texts: Iterable[str], every_image: Iterable[str], every_text: Iterable[str]
) -> dict[str, str]:
    """The image of each text that is called as it, in the folder of the most alike end; if most texts have one.

    As `txts/a/1.txt` of `pics/a/1.jpg`, or `text_c10/class_7/image_3.txt` of `jpg/image_3.jpg`. Only folders of texts
    alone, and of images alone, count: beside others, an image and a text of equal names may both have lost the other.
    """
    of_images, of_texts = ({_folder(path) for path in some} for some in (every_image, every_text))
    images = [image for image in images if _folder(image) not in of_texts]
    texts = [text for text in texts if _folder(text) not in of_images]
    by_name = _by(images, lambda path: _folded(_stem(path).rpartition("/")[2]))
    found: dict[str, str] = {}
    for text in texts:
        others = by_name.get(_folded(_stem(text).rpartition("/")[2]), [])
        shared = [_shared_end(text, other) for other in others]
        if others and shared.count(max(shared)) == 1:
            found[text] = others[shared.index(max(shared))]
    found = _each_once(found)
    return found if len(found) >= _ENOUGH * len(texts) else {}


def _by(images: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for image in images:
        found.setdefault(key(image), []).append(image)
    return found


def _each_once(found: Mapping[str, str]) -> dict[str, str]:
    """Without the images that several texts have, of which none is the image's rather than the others."""
    counts = Counter((image, text.rpartition(".")[2].lower()) for text, image in found.items())
    return {text: image for text, image in found.items() if counts[image, text.rpartition(".")[2].lower()] == 1}


def _shared_end(text: str, image: str) -> int:
    """The number of folders, from the last one on, that two paths have alike."""
    ours, theirs = (path.split("/")[-2::-1] for path in (text, image))
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(ours), len(theirs)))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _folded(path: str) -> str:
    return path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path).casefold()
