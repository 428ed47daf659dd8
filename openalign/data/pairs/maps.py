"""Images that say something of another image, pixel by pixel: masks, segmentations, depth."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.folder_files import IMAGE_FOLDERS

_WORDS = ("mask", "masks", "seg", "segmentation", "depth", "matte", "trimap", "groundtruth", "masklabel", "condlabel")
"""Words of names that make an image the map of another; `masklabel`, `condlabel` are those of OneTrainer."""
_SUFFIX = re.compile(rf"(.+?)[-_. ](?:{'|'.join(_WORDS)})", re.IGNORECASE)
"""`a_mask` of `a`."""
_FOLDER_WORDS = frozenset((*_WORDS, "segmentations", "mattes", "trimaps", "gt", "labels", "annotations"))
_BETWEEN_WORDS = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")


def maps_among(images: Iterable[str]) -> dict[str, str]:
    """The images that are maps of others, each with the image that it is one of; paths are relative, with slashes.

    `a_mask.png` beside `a.jpg`; and in a folder named for it, as `masks/`, `train_masks/` or `SegmentationClass/`, the
    image called as one elsewhere is (`a.png` or `a_mask.png`), if only one is called so and there is one for all.
    """
    images = list(images)
    by_stem = {_stem(image): image for image in images}
    found: dict[str, str] = {}
    in_folders: dict[str, list[str]] = {}
    others: list[str] = []
    for image in images:
        stem = _stem(image)
        # Of millions of names only those that end so are taken apart.
        whole = _SUFFIX.fullmatch(stem) if stem.lower().endswith(_WORDS) else None
        if whole and by_stem.get(whole[1], image) != image:
            found[image] = by_stem[whole[1]]
        if (folder := _folder_of_maps(image.rpartition("/")[0])) is not None:
            in_folders.setdefault(folder, []).append(image)
        elif image not in found:
            others.append(image)
    by_name: dict[str, list[str]] = {}
    for image in others if in_folders else ():
        by_name.setdefault(PurePosixPath(image).stem, []).append(image)
    for folder, some in in_folders.items():
        pairs = {image: _called_alike(image, folder, by_name.get(_named(image), [])) for image in some}
        if all(pairs.values()):
            found |= {image: other for image, other in pairs.items() if other}
    return found


def without_maps(
    images: Sequence[str], where: object, problems: list[str], texts: Mapping[str, object] | None = None
) -> list[str]:
    """The images that are no maps of others, or have a text of their own; the others are counted in `problems`."""
    maps = {image: other for image, other in maps_among(images).items() if image not in (texts or {})}
    if not maps:
        return list(images)
    first, other = next(iter(maps.items()))
    message = (
        f"{where}: {len(maps):,} images are left out as masks or the like of others, the first: {first} of {other}: "
        "to read them as images of their own, give their folder, or a table that names them"
    )
    problems.append(LeftOut(Kind.EXTRA_IMAGE, message, len(maps)))
    return [image for image in images if image not in maps]


def _stem(image: str) -> str:
    return image.rpartition(".")[0]


@lru_cache(maxsize=1 << 14)
def _folder_of_maps(folder: str) -> str | None:
    """A folder up to the last part of its path that is named for maps; None if there is none."""
    parts = folder.split("/")
    for place in range(len(parts) - 1, -1, -1):
        words = {word.lower() for word in _BETWEEN_WORDS.split(parts[place])}
        if words & _FOLDER_WORDS and parts[place].lower() not in IMAGE_FOLDERS:
            return "/".join(parts[: place + 1])
    return None


def _called_alike(image: str, folder: str, others: Sequence[str]) -> str | None:
    """The only one of `others` with the name of a map, or the only one that lies in the same folder of a split."""
    below = f"{image.removeprefix(f'{folder}/').rpartition('/')[0]}/{_named(image)}"
    alike = [other for other in others if f"/{_stem(other)}".endswith(below if below.startswith("/") else f"/{below}")]
    chosen = alike if len(alike) == 1 else others
    return chosen[0] if len(chosen) == 1 else None


def _named(image: str) -> str:
    """The name of the image that a map is of."""
    stem = PurePosixPath(image).stem
    whole = _SUFFIX.fullmatch(stem)
    return whole[1] if whole else stem
