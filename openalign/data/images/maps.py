"""Images that say something of another image, pixel by pixel, by their names: masks, segmentations, depth."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

IMAGE_FOLDERS = frozenset(("image", "images", "img", "imgs", "photos", "pictures", "jpegimages"))
"""Names of folders, in lower case, that say only that images are in them."""
_WORDS = (
    *("mask", "masks", "seg", "segm", "segmentation", "depth", "matte", "trimap", "masklabel", "condlabel"),
    *("groundtruth", "ground_truth", "ground-truth"),
)
"""Words of names that make an image the map of another; `masklabel`, `condlabel` are those of OneTrainer."""
_OF_PICTURES = ("image", "img", "rgb", "sat", "photo", "im")
"""Words that the name of the picture may have in the place of one of those: `7_sat.jpg` of `7_mask.png`."""
_IN_NAME = re.compile(
    rf"(?P<before>.*?[-_. ])?(?P<word>{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
    r"(?P<after>[-_. ].+|\d{1,4})?",
    re.IGNORECASE | re.DOTALL,
)
_ANY = ("mask", "seg", "depth", "matte", "trimap", "gt", "ground", "condlabel", "label", "annotation")
"""Every name that has one of the words has one of these; for a quick look at millions of names."""
_SEVERAL = re.compile(r"(.+?)[-_. ]?\d{1,4}", re.DOTALL)
"""One of several maps of an image: `a_mask_0`, `a_mask1`."""
_FOLDER_WORDS = frozenset((*_WORDS, "gt", "segmentations", "mattes", "trimaps", "labels", "annotations"))
_BETWEEN_WORDS = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_MOST = 0.9
"""Share of the images in a folder of maps that must have the name of another image; some of those may be lost."""


def maps_among(images: Iterable[str]) -> dict[str, str]:
    """The images that are maps of others, each with the image that it is one of; paths are relative, with slashes.

    `a_mask.png` and `mask_a.png` beside `a.jpg`, `a_mask.png` beside `a_image.jpg`, also with a number, `a_mask_0.png`.
    And the images in a folder named for it, as `masks/`, `ground_truth/` or `SegmentationClass/`, if nearly all are
    called as one elsewhere (`a.png`, `a_mask.png`, `a/0.png`), the nearest one if there are several, or if the folder
    lies beside a single image. Those among them that are called as none are maps of "".
    """
    images = list(images)
    if not may_be_maps(images):
        return {}
    by_stem = {_stem(image): image for image in images}
    found: dict[str, str] = {}
    in_folders: dict[str, list[str]] = {}
    others: list[str] = []
    for image in images:
        folder, slash, name = _stem(image).rpartition("/")
        known = (by_stem.get(f"{folder}{slash}{other}") for other in _pictures_of(name))
        picture = next((each for each in known if each not in (None, image)), None)
        if picture is not None:
            found[image] = picture
        if (top := _folder_of_maps(folder)) is not None:
            in_folders.setdefault(top, []).append(image)
        elif picture is None:
            others.append(image)
    if in_folders:
        pictures = _Pictures(others)
        for top, some in in_folders.items():
            found |= _maps_in(top, some, pictures)
    return found


def may_be_maps(names: Iterable[str]) -> bool:
    """Whether any of these names has a word of maps in it; a quick look."""
    written = "\n".join(names).casefold()
    return any(word in written for word in _ANY)


def _maps_in(folder: str, images: Sequence[str], pictures: "_Pictures") -> dict[str, str]:
    """The maps in a folder that is named for maps; none if too few of its images are called as others."""
    pairs = {image: pictures.of(image, folder) for image in images}
    known = [(image, other) for image, other in pairs.items() if other]
    if len(known) < _MOST * len(images) or all(_by_chance(image, other) for image, other in known):
        return {}
    return {image: other or "" for image, other in pairs.items()}


def _by_chance(image: str, other: str) -> bool:
    """Whether the names may be equal because both count: `mask/1.jpg` and `nomask/1.jpg` are photos of two classes."""
    name = _stem(image).rpartition("/")[2]
    in_images = any(part.lower() in IMAGE_FOLDERS for part in other.split("/")[:-1])
    both_photos = all(each.lower().endswith((".jpg", ".jpeg")) for each in (image, other))
    is_same_name = _stem(other).rpartition("/")[2] == name
    return both_photos and name.isdecimal() and is_same_name and "/" in other and not in_images


class _Pictures:
    """The images that are no maps by their names or folders."""

    def __init__(self, images: Sequence[str]) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._in: dict[str, list[str]] = {}
        """By the folder they lie in, or that their folder of images lies in."""
        for image in images:
            folder, _, name = _stem(image).rpartition("/")
            for each in {name, _before_folder(name, folder)}:
                self._by_name.setdefault(each, []).append(image)
            self._in.setdefault(folder, []).append(image)
            around, _, last = folder.rpartition("/")
            if last.lower() in IMAGE_FOLDERS:
                self._in.setdefault(around, []).append(image)

    def of(self, image: str, folder: str) -> str | None:
        """The image that one in a folder of maps is called as, in the same folder below or the nearest; else None."""
        inside, _, name = _stem(image.removeprefix(f"{folder}/")).rpartition("/")
        around, _, last = inside.rpartition("/")
        names = dict.fromkeys((name, *_pictures_of(name), _before_folder(name, folder)))
        for inner, called in [*((inside, each) for each in names), (around, last)]:
            others = self._by_name.get(called, ()) if called else ()
            ending = f"/{inner}/{called}" if inner else f"/{called}"
            alike = [other for other in others if f"/{_stem_before_folder(other)}".endswith(ending)]
            alike = alike or [other for other in others if f"/{_stem(other)}".endswith(ending)]
            if (nearest := _nearest(folder, alike or others)) is not None:
                return nearest
        beside = self._in.get(folder.rpartition("/")[0], ()) if "/" in folder else ()
        return beside[0] if len(beside) == 1 else None


def _before_folder(name: str, folder: str) -> str:
    """A name without the folder's in it and what follows: `a_1` of `leftImg8bit/a_1_leftImg8bit`."""
    for part in folder.split("/"):
        place = name.find(f"_{part}") if part else -1
        if place > 0:
            return name[:place]
    return name


def _stem_before_folder(image: str) -> str:
    folder, slash, name = _stem(image).rpartition("/")
    return f"{folder}{slash}{_before_folder(name, folder)}"


def _nearest(folder: str, others: Sequence[str]) -> str | None:
    """The one of `others` that shares most folders with `folder`; None if there is not exactly one."""
    if len(others) < 2:
        return others[0] if others else None
    shared = [_shared(folder.split("/"), other.split("/")) for other in others]
    most = max(shared)
    return others[shared.index(most)] if shared.count(most) == 1 else None


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _pictures_of(name: str) -> Iterator[str]:
    """The names that the picture may have of which an image of this name is a map; none if it is not called as one."""
    if not may_be_maps((name,)):
        return
    whole = _IN_NAME.fullmatch(name)
    several = _SEVERAL.fullmatch(name)
    shorter = None if several is None else _IN_NAME.fullmatch(several[1])
    for found in (whole, shorter):
        if found is None:
            continue
        before, after = found["before"] or "", found["after"] or ""
        if after[:1].isdigit():
            yield from (before[:-1],) if before else ()
        elif before or after:
            yield before[:-1] + after if before and after else before[:-1] or after[1:]
        yield from (before + word + after for word in _OF_PICTURES)


def _stem(image: str) -> str:
    return image.rpartition(".")[0]


@lru_cache(maxsize=1 << 14)
def _folder_of_maps(folder: str) -> str | None:
    """A folder up to the last part of its path that is named for maps; None if there is none."""
    parts = folder.split("/")
    for place in range(len(parts) - 1, -1, -1):
        words = [word.lower() for word in _BETWEEN_WORDS.split(parts[place])]
        joined = {*words, *(one + other for one, other in pairwise(words))}
        if joined & _FOLDER_WORDS and parts[place].lower() not in IMAGE_FOLDERS:
            return "/".join(parts[: place + 1])
    return None
