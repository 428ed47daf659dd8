"""Folders of images, one for each class, whose names are all that is said of the images."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import advice, are_ids, by_number, in_words, names_of_folders, names_of_ids
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import IMAGE_FOLDERS, TEXT_FOLDERS, gathered, image_files
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_folders
from openalign.data.pairs.maps import without_maps
from openalign.data.pairs.named_images import folders_up_to
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.pairs.texts_beside import texts_beside
from openalign.errors import OpenAlignError
from openalign.options import option

_NO_CLASSES = (
    IMAGE_FOLDERS
    | TEXT_FOLDERS
    | {
        *(
            "mask",
            "masks",
            "segmentation",
            "segmentations",
            "depth",
            "edges",
            "sketch",
            "gt",
            "groundtruth",
            "lr",
            "hr",
        ),
        *(
            "input",
            "inputs",
            "output",
            "outputs",
            "source",
            "target",
            "control",
            "conditioning",
            "original",
            "originals",
        ),
        *("thumbnail", "thumbnails", "thumbs", "previews", "raw", "edited", "export", "dcim"),
    }
)
"""Names of folders, in lower case, that say what kind of file is in them, not what is to be seen."""
_MASKS = frozenset(("mask", "masks", "segmentation", "segmentations"))
_FEWEST_VIEWS = 3
"""Names in each folder from which it is no chance that they are the same."""
_COUNTED = re.compile(r"(\D*)(\d{1,18})(\D*)")
_OF_A_CAMERA = re.compile(r"\d{3}[A-Z_]{5}")
"""`100APPLE`, as the DCF standard has it."""


class ClassFolders:
    """Images in a folder for each class. A part is the folder of a split."""

    name = "class-folders"
    title = "a folder of images for each class"
    recognised_by = "images in folders named by class, also below `train/` and `val/`, where nothing else is a text"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path):
            return None
        folders = {image.rpartition("/")[0] for image in source.own_images}
        splits = split_folders(folders)
        classes = {name for parts in splits.values() for part in parts for name in _classes_below(folders, part)}
        if not _could_be_classes(classes) or are_views(source.own_images):
            return None
        some = ", ".join(sorted(classes, key=by_number)[:3])
        why = f"images lie in {len(classes):,} folders ({some}{', ...' if len(classes) > 3 else ''})"
        return Finding(why, source.parts(splits), source.outside(splits), gives_texts=False)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        local = [part for part in parts if isinstance(part, Path)]
        folder, files = gathered(local)
        problems: list[str] = []
        every = without_maps(image_files(files, folder), name, problems)
        class_of: dict[str, str | None] = {}
        for top in (part.relative_to(folder).as_posix() for part in local):
            class_of |= _classes_of([file for file in every if _below(file, top) is not None], top)
        _tell_texts(name, every, files, {image.rpartition("/")[0] for image in class_of}, options, problems)
        images = sorted(class_of, key=lambda image: (by_number(class_of[image] or ""), image))
        names, read_from = _names(name, {each for each in class_of.values() if each}, folder, problems)
        named = [names.get(class_of[image] or "") for image in images]
        table = pa.table(
            {
                "image": pa.array(images, pa.string()),
                "text": pa.array([None if each is None else in_words(each) for each in named], pa.string()),
                "label": pa.array(
                    [each or class_of[image] for image, each in zip(images, named, strict=True)], pa.string()
                ),
            }
        )
        if names and are_ids(names):  # two ids may have one name, and are two classes all the same
            table = table.append_column("label.id", pa.array([class_of[image] for image in images], pa.string()))
        columns = {"image": "path", "text": read_from, "label": read_from or "the name of the folder"}
        return replace(Pairs.of(name, table, FileImages(folder, table["image"]), problems), columns=columns)


def _tell_texts(
    source: str,
    images: Sequence[str],
    files: Sequence[str],
    folders: set[str],
    options: ReadOptions,
    problems: list[str],
) -> None:
    """Count text files that have the name of no image; raise `OpenAlignError` if there may be one for each folder."""
    beside = texts_beside(images, files)
    alone = sorted([*beside.alone, *beside.fields_alone])
    if not alone:
        return
    message = f"{source}: {len(alone):,} text files have the name of no image, the first: {alone[0]}"
    inside = [
        file for file in alone if file.rpartition("/")[0] in folders or TEXT_FOLDERS & set(file.lower().split("/"))
    ]
    if options.need_text and options.layout is None and len(inside) >= len(folders):
        raise OpenAlignError(
            f"{message}. They may be texts of the images: name each as its image is named. To take the names of the "
            f"{len(folders):,} folders for the texts, add {option(layout=ClassFolders.name)}"
        )
    problems.append(LeftOut(Kind.CAPTION_WITHOUT_IMAGE, message, len(alone)))


def _names(source: str, classes: set[str], folder: Path, problems: list[str]) -> tuple[dict[str, str], str]:
    """The name of each class that has one, and what it was taken from; ids without names have none."""
    around = folders_up_to(source, folder)
    if not classes:
        return {}, ""
    if not are_ids(classes):
        some = ", ".join(sorted(classes, key=by_number)[:3])
        problems.append(
            f"{folder}: the names of {len(classes):,} folders ({some}{', ...' if len(classes) > 3 else ''}) are taken "
            f"for what their images show; {option(layout='images')} reads the images without texts"
        )
        return names_of_folders(classes), "the name of the folder"
    names, table = names_of_ids(classes, [*around, around[-1].absolute().parent])
    if table is None:
        problems.append(advice(classes, folder))
        return {}, ""
    if missing := sorted(classes - names.keys(), key=by_number):
        problems.append(f"{table} has no name for {len(missing):,} folders, the first: {missing[0]}")
    return names, f"the folder's name in {table.name}"


def _below(file: str, top: str) -> str | None:
    """The path below the folder `top`; None if the file is not in it."""
    if top == ".":
        return file
    return file.removeprefix(f"{top}/") if file.startswith(f"{top}/") else None


def _level(folders: Iterable[tuple[str, ...]]) -> int | None:
    """The one place at which the names of these folders differ; None if there is not exactly one."""
    folders = list(folders)
    if len(set(map(len, folders))) != 1:
        return None
    differing = [place for place, names in enumerate(zip(*folders, strict=True)) if len(set(names)) > 1]
    return differing[0] if len(differing) == 1 else None


def _parts_below(folders: Iterable[str], top: str) -> set[tuple[str, ...]]:
    """The folders at or below `top` ("" or "." is the source itself), as the names of their path from there."""
    inside = [folder for folder in folders if top in ("", ".") or folder == top or folder.startswith(f"{top}/")]
    return {tuple(filter(None, folder[0 if top in ("", ".") else len(top) :].split("/"))) for folder in inside}


def _classes_below(folders: Iterable[str], top: str) -> set[str]:
    below = _parts_below(folders, top)
    level = _level(below)
    return set() if level is None else {parts[level] for parts in below}


def _classes_of(images: Sequence[str], top: str) -> dict[str, str | None]:
    """The class of each image below `top`; None where images of a split lie in no folders of their own."""
    below = {image: tuple((_below(image, top) or "").split("/")[:-1]) for image in images}
    level = _level(set(below.values()))
    if level is None and len({len(parts) for parts in below.values()}) == 1:
        level = 0 if not {parts[0].lower() for parts in below.values() if parts} & _NO_CLASSES else None  # one class
    return {image: parts[level] if level is not None and parts else None for image, parts in below.items()}


def _could_be_classes(names: set[str]) -> bool:
    if len(names) < 2 or all(_OF_A_CAMERA.fullmatch(name) for name in names):
        return False
    lower = {name.lower() for name in names}
    only_kinds = lower <= _NO_CLASSES
    return not only_kinds and not (lower & IMAGE_FOLDERS and lower & (_MASKS | TEXT_FOLDERS))


def are_views(images: Iterable[str]) -> bool:
    """Whether every folder holds images of the same names, as `blurred/` and `sharp/` do: no classes, but views.

    `images` are sorted. Names that only count from 0 or 1 may be the same in folders of classes.
    """
    folders = 0
    first: set[str] = set()
    for _, inside in groupby(images, lambda image: image.rpartition("/")[0]):
        names = {image.rpartition("/")[2].rpartition(".")[0] for image in inside}
        first = first or names
        folders += 1
        if len(first) < _FEWEST_VIEWS or names != first:
            return False
    if folders < 2:
        return False
    numbered = [_COUNTED.fullmatch(name) for name in first]
    counted = sorted(int(each[2]) for each in numbered if each)
    alike = len({(each[1], each[3]) for each in numbered if each}) == 1
    return not (alike and counted in (list(range(len(first))), list(range(1, len(first) + 1))))
