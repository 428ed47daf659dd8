"""Which folders of images name classes, and which tell views, kinds of files or the pages of an album."""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby

from openalign.data.images.maps import IMAGE_FOLDERS
from openalign.data.pairs.class_names import are_ids
from openalign.data.pairs.folder_files import TEXT_FOLDERS

_NO_CLASSES = frozenset(
    {
        *IMAGE_FOLDERS,
        *TEXT_FOLDERS,
        *("mask", "masks", "segmentation", "segmentations", "depth", "edges", "sketch", "gt", "groundtruth"),
        *("input", "inputs", "output", "outputs", "source", "target", "control", "conditioning", "lr", "hr"),
        *("original", "originals", "thumbnail", "thumbnails", "thumbs", "previews", "raw", "edited", "export", "dcim"),
    }
)
"""Names of folders, in lower case, that say what kind of file is in them, not what is to be seen."""
_MASKS = frozenset(("mask", "masks", "segmentation", "segmentations"))
_FEWEST_VIEWS = 3
"""Names in each folder from which it is no chance that they are the same."""
_COUNTED = re.compile(r"(\D*)(\d{1,18})(\D*)")
_OF_A_CAMERA = re.compile(r"\d{3}[A-Z_]{5}|Photos from \d{4}")
"""`100APPLE`, as the DCF standard has it, and the years of Google Takeout."""


FOLDERS = "folders"
"""The text column that is made of all folders of an image."""
_FOLDER = re.compile(r"folder_([1-9]\d?)")
"""That of one folder of them, the first is 1."""


def below(file: str, top: str) -> str | None:
    """The path below the folder `top`; None if the file is not in it."""
    if top == ".":
        return file
    return file.removeprefix(f"{top}/") if file.startswith(f"{top}/") else None


def folders_below(images: Iterable[str], top: str) -> dict[str, tuple[str, ...]]:
    """The folders between `top` and each image."""
    return {image: tuple((below(image, top) or "").split("/")[:-1]) for image in images}


def class_level(folders: Iterable[tuple[str, ...]]) -> int | None:
    """The one place at which the names of these folders differ; None if there is not exactly one."""
    folders = list(folders)
    if len(set(map(len, folders))) != 1:
        return None
    differing = [place for place, names in enumerate(zip(*folders, strict=True)) if len(set(names)) > 1]
    return differing[0] if len(differing) == 1 else None


def classes_below(folders: Iterable[str], top: str) -> set[str]:
    """The names of the classes that folders at or below `top` ("" is the source itself) tell, if any."""
    inside = [folder for folder in folders if top in ("", ".") or folder == top or folder.startswith(f"{top}/")]
    parts = {tuple(filter(None, folder[0 if top in ("", ".") else len(top) :].split("/"))) for folder in inside}
    level = class_level(parts)
    return set() if level is None else {each[level] for each in parts}


def classes_of(folders: Mapping[str, tuple[str, ...]], *, is_asked: bool, column: str | None) -> dict[str, str | None]:
    """The class of each image by its folders; None where they tell none.

    `is_asked`: the user says that folders are classes; of several levels the last one is then. `column`: which of them,
    as the user says.
    """
    if column == FOLDERS:
        return {image: "/".join(parts) or None for image, parts in folders.items()}
    if column is not None and (asked := _FOLDER.fullmatch(column)):
        place = int(asked[1]) - 1
        return {image: parts[place] if place < len(parts) else None for image, parts in folders.items()}
    level = class_level(set(folders.values()))
    if level is None and len({len(parts) for parts in folders.values()}) == 1:
        level = 0 if not {parts[0].lower() for parts in folders.values() if parts} & _NO_CLASSES else None  # one class
        level = level if len(set(folders.values())) == 1 or not is_asked else None
    if level is None and is_asked:
        return {image: parts[-1] if parts else None for image, parts in folders.items()}
    return {image: parts[level] if level is not None and parts else None for image, parts in folders.items()}


def is_column_of_folders(column: str) -> bool:
    """Whether a text column is `folders` or `folder_1`, `folder_2` and so on."""
    return column == FOLDERS or _FOLDER.fullmatch(column) is not None


def could_be_classes(names: Iterable[str]) -> bool:
    """Whether names of folders may say what is to be seen: there are several, and they name no kinds of files."""
    names = set(names)
    if len(names) < 2 or all(_OF_A_CAMERA.fullmatch(name) for name in names):
        return False
    lower = {name.lower() for name in names}
    only_kinds = lower <= _NO_CLASSES
    return not only_kinds and not (lower & IMAGE_FOLDERS and lower & (_MASKS | TEXT_FOLDERS))


def nested_classes(images: Iterable[str]) -> tuple[str, ...]:
    """The folders of an image, below those that all share, where several levels of them could name classes; else none.

    `warm/red/1.jpg` beside `cold/blue/1.jpg` may show warm colours, or red ones. Dates and ids are no classes.
    """
    paths = {image.rpartition("/")[0] for image in images}
    folders = {tuple(path.split("/")) if path else () for path in paths}
    if len(folders) < 2 or class_level(folders) is not None:
        return ()
    first, other = min(folders), max(folders)
    common = next((at for at, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), len(first))
    last = {parts[-1] for parts in folders if parts}
    deepest = max(sorted(folders), key=len)[common:]
    is_deep = len(deepest) > 1 or any(len(parts) == common for parts in folders)
    return deepest if is_deep and deepest and could_be_classes(last) and not are_ids(last) else ()


def are_views(images: Iterable[str]) -> bool:
    """Whether every folder holds images of the same names, as `blurred/` and `sharp/` do: no classes, but views.

    `images` are sorted. Names that only count from 0 or 1 may be the same in folders of classes.
    """
    images = list(images)
    if len({image.rpartition("/")[0] for image in images}) < 2:
        return False
    first: set[str] = set()
    for _, inside in groupby(images, lambda image: image.rpartition("/")[0]):
        names = {image.rpartition("/")[2].rpartition(".")[0] for image in inside}
        first = first or names
        if len(first) < _FEWEST_VIEWS or names != first:
            return False
    numbered = [_COUNTED.fullmatch(name) for name in first]
    counted = sorted(int(each[2]) for each in numbered if each)
    alike = len({(each[1], each[3]) for each in numbered if each}) == 1
    return not (alike and counted in (list(range(len(first))), list(range(1, len(first) + 1))))
