"""Folders of images, one for each class, whose names are all that is said of the images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.beside.embedded import EMBEDDED, embedded_note
from openalign.data.pairs.beside.fields import read_fields
from openalign.data.pairs.beside.maps import without_maps
from openalign.data.pairs.beside.texts import texts_beside
from openalign.data.pairs.beside.unused import unused_json
from openalign.data.pairs.class_levels import (
    are_views,
    below,
    class_level,
    classes_below,
    classes_of,
    could_be_classes,
    folders_below,
    is_column_of_folders,
)
from openalign.data.pairs.class_names import advice, are_ids, by_number, in_words, names_of_folders, names_of_ids
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import TEXT_FOLDERS, gathered, image_files
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_folders
from openalign.data.pairs.layouts.table_beside import tables_not_read
from openalign.data.pairs.listed_splits import with_listed_splits
from openalign.data.pairs.named_images import folders_up_to
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.captions import usual_field
from openalign.errors import OpenAlignError
from openalign.options import option


class ClassFolders:
    """Images in a folder for each class. A part is the folder of a split."""

    name = "class-folders"
    title = "a folder of images for each class"
    recognised_by = "images in folders named by class, also below `train/` and `val/`, where nothing else is a text"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path) or are_views(source.own_images):
            return None
        folders = {image.rpartition("/")[0] for image in source.own_images}
        splits = split_folders(folders)
        classes = {name for parts in splits.values() for part in parts for name in classes_below(folders, part)}
        return self._finding(source, splits, classes) if could_be_classes(classes) else None

    def find_asked(self, source: Source) -> Finding | None:
        """What `find` gives, also of folders that it takes for views, or of several levels; None if there are none."""
        if not source.is_folder or not isinstance(source.at, Path):
            return None
        folders = {image.rpartition("/")[0] for image in source.own_images}
        splits = split_folders(folders)
        if list(splits) == [""]:
            splits = {"": [""]}  # a single class is a folder that all lie in
        return self.find(source) or (self._finding(source, splits, folders - {""}) if folders - {""} else None)

    def _finding(self, source: Source, splits: Mapping[str, Sequence[str]], classes: set[str]) -> Finding:
        some = ", ".join(sorted(classes, key=by_number)[:3])
        why = f"images lie in {len(classes):,} folders ({some}{', ...' if len(classes) > 3 else ''})"
        problems = [*source.outside(splits), *source.unread_texts(), *tables_not_read(source)]
        tops = tuple(f"{each}/" for some in splits.values() for each in some if each)
        known = {*source.split_lists}
        texts = [file for file in source.beside.alone if tops and not file.startswith(tops) and file not in known]
        if texts:
            message = f"{source.name}: {len(texts):,} text files are of no single image, the first: {texts[0]}"
            problems.append(LeftOut(Kind.CAPTION_WITHOUT_IMAGE, message, len(texts)))
        return Finding(why, source.parts(splits), problems, gives_texts=False)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        local = [part for part in parts if isinstance(part, Path)]
        folder, files = gathered(local)
        problems: list[str] = []
        every = without_maps(image_files(files, folder), name, problems)
        levels, class_of = _classes(name, every, [part.relative_to(folder).as_posix() for part in local], options)
        _tell_texts(name, folder, every, files, {image.rpartition("/")[0] for image in class_of}, options, problems)
        images = sorted(class_of, key=lambda image: (by_number(class_of[image] or ""), image))
        problems += embedded_note(folder, images, name, layout="images") if options.layout is None else []
        names, read_from = _names(name, {each for each in class_of.values() if each}, folder, problems)
        named = [names.get(class_of[image] or "") for image in images]
        texts = [None if each is None else in_words(each.replace("/", " ")) for each in named]
        labels = [each or class_of[image] for image, each in zip(images, named, strict=True)]
        columns = {"image": images, "text": texts, "label": labels}
        table = pa.table({column: pa.array(values, pa.string()) for column, values in columns.items()})
        if names and are_ids(names):  # two ids may have one name, and are two classes all the same
            table = table.append_column("label.id", pa.array([class_of[image] for image in images], pa.string()))
        table = _with_levels(table, [levels[image] for image in images])
        taken = {"image": "path", "text": read_from, "label": read_from or "the name of the folder"}
        pairs = replace(Pairs.of(name, table, FileImages(folder, table["image"]), problems), columns=taken)
        return with_listed_splits(name, pairs)


def _classes(
    source: str, images: Sequence[str], tops: Sequence[str], options: ReadOptions
) -> tuple[dict[str, tuple[str, ...]], dict[str, str | None]]:
    """The folders of each image below its split, and the class that they tell.

    Raises `OpenAlignError` if the text column is none of folders, or no image has so many.
    """
    column = options.text_column
    if column == EMBEDDED:
        raise OpenAlignError(
            f"{source} is read as a folder for each class: add {option(layout='images')} for the captions in its files"
        )
    if column is not None and column not in ("text", "label") and not is_column_of_folders(column):
        raise OpenAlignError(
            f"{source} has no texts {column!r}: they are the names of folders. `folders` takes all of those of an "
            "image, `folder_1` the first"
        )
    levels: dict[str, tuple[str, ...]] = {}
    class_of: dict[str, str | None] = {}
    is_asked = options.layout == ClassFolders.name
    for top in tops:
        inside = folders_below([image for image in images if below(image, top) is not None], top)
        levels |= inside
        class_of |= classes_of(inside, is_asked=is_asked, column=column)
    if column is not None and class_of and not any(class_of.values()):
        raise OpenAlignError(f"{source} has no folder for {column!r}: its images lie in fewer")
    return levels, class_of


def _with_levels(table: pa.Table, levels: Sequence[tuple[str, ...]]) -> pa.Table:
    """The table with a column for each level of folders, where the names at more than one tell images apart."""
    deepest = max(map(len, levels), default=0)
    if deepest < 2 or class_level(set(levels)) is not None:
        return table
    for place in range(deepest):
        names = [parts[place] if place < len(parts) else None for parts in levels]
        table = table.append_column(f"folder_{place + 1}", pa.array(names, pa.string()))
    return table


def _tell_texts(
    source: str,
    folder: Path,
    images: Sequence[str],
    files: Sequence[str],
    folders: set[str],
    options: ReadOptions,
    problems: list[str],
) -> None:
    """Count text files that have the name of no image; raise `OpenAlignError` if there may be one for each folder."""
    beside = texts_beside(images, files)
    fields = read_fields(folder, beside.fields_alone, [])
    with_captions = [file for file, each in fields.items() if usual_field([each]) is not None]
    problems += unused_json(folder, source, sorted({*beside.fields_alone} - {*with_captions}))
    alone = sorted([*beside.alone, *with_captions])
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
