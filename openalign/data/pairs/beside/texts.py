"""Texts in files of their own beside the images: `a.jpg` and `a.txt`, `a.caption`, `a.cap` or `a.json`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from openalign.data.files.elsewhere import called_as, in_other_folders, spelled_otherwise
from openalign.data.images.maps import IMAGE_FOLDERS
from openalign.data.left_out import Kind, listed
from openalign.data.pairs.beside.fields import (
    FIELDS_SUFFIX,
    content_of,
    cut_names,
    first_with_caption,
    image_of_takeout,
)
from openalign.data.pairs.beside.numbered import numbered_texts
from openalign.data.pairs.folder_files import TEXT_FOLDERS
from openalign.data.shards.captions import Divided, decoded_all, divided

TEXT_SUFFIXES = (".txt", ".caption", ".cap")
"""Suffixes of text files beside images, in the order in which they are looked for."""
_SAMPLE = 50
"""Texts by which is told whether such files hold captions."""
_EDITED = "-edited"
_NUMBERS = re.compile(r"[\d\s.,;:+\-eE]*\d[\d\s.,;:+\-eE]*")
_NO_CAPTIONS = frozenset(
    (
        *("readme", "license", "licence", "notice", "changelog", "requirements", "classes", "classnames", "labels"),
        *("class_names", "label_names", "categories", "id_to_name", "words", "synset_words", "synsets", "names"),
        *("loc_synset_mapping", "imagenet_class_index", "class_index", "wnid_to_name"),
    )
)
"""Names of text files about a folder, or of names of classes, in lower case, which no image has."""


@dataclass(frozen=True)
class Beside:
    """Which text files belong to which image; all are relative paths with slashes."""

    texts: Mapping[str, Mapping[str, str]]
    """image -> suffix -> text file, for the images that have any."""
    further: Mapping[str, Mapping[str, Sequence[str]]]
    """image -> suffix -> further text files, which numbers tell apart: `a.1.txt` where the first is `a.0.txt`."""
    seconds: Mapping[str, str]
    """image -> a second text file of the same suffix, as in `labels/` where the first is in `captions/`."""
    alone: Sequence[str]
    """Text files without an image."""
    fields_alone: Sequence[str]
    """JSON files of which neither an image nor a text file has the name."""
    shared: Mapping[str, Sequence[str]]
    """text file -> its images, where it has several: `a.jpg` and `a.png`."""
    elsewhere: Mapping[str, str]
    """text file -> its image, in another folder that is called neither `images` nor `captions` or the like."""


def texts_beside(images: Iterable[str], files: Iterable[str]) -> Beside:
    """The text files of each image: of the same name in its folder, or in `captions/` or `labels/` beside `images/`.

    Where there is none, one that is spelled in other case, or that lies in any other folder, if most others do too.
    `files` may be without images.
    """
    by_key = _files_by_key(files)
    images = list(images) if by_key else []
    texts: dict[str, dict[str, str]] = {}
    seconds: dict[str, str] = {}
    images_of: dict[str, list[str]] = {}
    image_of: dict[str, str] = {}
    for image in images:
        stem = image.rpartition(".")[0]
        keys = dict.fromkeys((stem, image, _without(stem, IMAGE_FOLDERS), *_original(stem, image)))
        image_of |= {key: image for key in keys if key not in image_of}
        for suffix, file in dict.fromkeys(each for key in keys for each in by_key.get(key, ())):
            if texts.setdefault(image, {}).setdefault(suffix, file) != file and suffix in TEXT_SUFFIXES:
                seconds[image] = file
            images_of.setdefault(file, []).append(image)
    every = {file: suffix for found in by_key.values() for suffix, file in found}
    for file, image in cut_names((each for each in every if every[each] == FIELDS_SUFFIX), images).items():
        if file not in images_of and texts.setdefault(image, {}).setdefault(FIELDS_SUFFIX, file) == file:
            images_of[file] = [image]
    used = set(images_of)
    further = _add_numbered(texts, image_of, by_key, used)
    others = [file for file in every if file not in used and PurePosixPath(file).stem.lower() not in _NO_CAPTIONS]
    alone = sorted(file for file in others if every[file] in TEXT_SUFFIXES)
    alone, elsewhere = _found_elsewhere(texts, images, alone)
    stems = {file.rpartition(".")[0] for file in alone}
    fields = (file for file in others if every[file] == FIELDS_SUFFIX)
    return Beside(
        texts,
        further,
        seconds,
        alone,
        sorted(file for file in fields if file.rpartition(".")[0] not in stems),
        {file: found for file, found in images_of.items() if len(found) > 1 and not any(map(_is_edited, found))},
        elsewhere,
    )


def _found_elsewhere(
    texts: dict[str, dict[str, str]], images: Sequence[str], alone: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Add texts that are spelled otherwise or lie elsewhere; returns those that are left, and the last, with images."""
    if not alone:
        return [], {}
    own = [file for found in texts.values() for suffix, file in found.items() if suffix in TEXT_SUFFIXES]
    without = [image for image in images if not texts.get(image, {}).keys() & set(TEXT_SUFFIXES)]
    spelled = spelled_otherwise(without, alone)
    spelled = spelled or called_as(without, alone)
    without = sorted({*without} - {*spelled.values()})
    others = [file for file in alone if file not in spelled]
    elsewhere = in_other_folders(without, others, images, [*own, *alone])
    for file, image in (spelled | elsewhere).items():
        texts.setdefault(image, {})[f".{file.rpartition('.')[2].lower()}"] = file
    return [file for file in alone if file not in spelled and file not in elsewhere], elsewhere


def _files_by_key(files: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """The text and JSON files, each with its suffix, by the names that images of theirs could have."""
    by_key: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        suffix = f".{file.rpartition('.')[2].lower()}"
        if suffix in TEXT_SUFFIXES or suffix == FIELDS_SUFFIX:
            stem = file[: -len(suffix)]
            keys = {stem, _without(stem, TEXT_FOLDERS)}
            if suffix == FIELDS_SUFFIX and (image := image_of_takeout(stem)) is not None:
                keys.add(image)
            for key in keys:
                by_key.setdefault(key, []).append((suffix, file))
    return by_key


def _is_edited(image: str) -> bool:
    return image.rpartition(".")[0].endswith(_EDITED)


def _original(stem: str, image: str) -> tuple[str, ...]:
    """The photo that this is the edited one of, in an archive of Google Photos, where both have one JSON file."""
    return (stem.removesuffix(_EDITED) + image[len(stem) :],) if _is_edited(image) else ()


def _add_numbered(
    texts: dict[str, dict[str, str]],
    image_of: Mapping[str, str],
    by_key: Mapping[str, Sequence[tuple[str, str]]],
    used: set[str],
) -> dict[str, dict[str, list[str]]]:
    """Add numbered texts to `texts` and `used`; returns those that are not the first of their image and suffix."""
    further: dict[str, dict[str, list[str]]] = {}
    for wanted in TEXT_SUFFIXES:
        keys_of: dict[str, list[str]] = {}
        for key, found in by_key.items():
            for suffix, file in found:
                if suffix == wanted and file not in used:
                    keys_of.setdefault(file, []).append(key)
        own = [image for image, files in texts.items() if wanted in files]
        for image, files in numbered_texts(image_of, keys_of, own).items() if keys_of else ():
            used.update(files)
            first = texts.setdefault(image, {}).setdefault(wanted, files[0])
            further.setdefault(image, {})[wanted] = files[1:] if first == files[0] else files
    return further


def _without(path: str, folders: frozenset[str]) -> str:
    """The path without the last of its folders that has one of these names."""
    if "/" not in path:
        return path
    parts = path.split("/")
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() in folders:
            return "/".join((*parts[:place], *parts[place + 1 :]))
    return path


def are_numbers(texts: Iterable[str]) -> bool:
    """Whether all texts that are not empty consist of numbers, as the boxes of object detection do."""
    filled = [text for text in texts if text.strip()]
    return bool(filled) and all(_NUMBERS.fullmatch(text) for text in filled)


def read_texts(folder: Path, files: Sequence[str], problems: list[str]) -> dict[str, str | None]:
    """The text of each file, in whatever encoding; None if it cannot be read, which is told in `problems`."""
    contents: dict[str, bytes] = {}
    told: list[str] = []
    for file in files:
        try:
            contents[file] = content_of(folder / file)
        except OSError as error:
            told.append(f"{folder / file} cannot be read: {error.strerror or error}")
    decoded, charset = decoded_all(list(contents.values()))
    texts: dict[str, str | None] = dict.fromkeys(files) | dict(zip(contents, decoded, strict=True))
    told += [f"{folder / file} is not text" for file in contents if texts[file] is None]
    problems += listed(Kind.TEXT_NOT_READ, told, folder)
    if charset:
        problems.append(
            f"{folder}: texts that are not UTF-8 are read as {charset}: save them as UTF-8 if that is wrong"
        )
    return texts


def captions_in(texts: Sequence[str | None]) -> tuple[list[list[str] | None], Divided]:
    """The captions of each text (None stays None), and how they were divided."""
    read = divided([text for text in texts if text is not None])
    captions = iter(read.captions)
    return [None if text is None else next(captions) for text in texts], read


def first_captions(folder: Path, beside: Beside) -> str | None:
    """A text or JSON file that holds a caption, by name; None if they hold numbers or other fields."""
    files = [file for texts in beside.texts.values() for suffix, file in texts.items() if suffix in TEXT_SUFFIXES]
    for some in (files, list(beside.seconds.values())):
        texts = read_texts(folder, some[:_SAMPLE], [])
        if some and not are_numbers(text for text in texts.values() if text):
            return some[0]
    jsons = [texts[FIELDS_SUFFIX] for texts in beside.texts.values() if FIELDS_SUFFIX in texts]
    return first_with_caption(folder, jsons)
