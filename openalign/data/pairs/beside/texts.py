"""Texts in files of their own beside the images: `a.jpg` and `a.txt`, `a.caption`, `a.cap` or `a.json`."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from openalign.data.files.damage import reason_of
from openalign.data.files.json_files import MOST_LEVELS
from openalign.data.images.maps import IMAGE_FOLDERS
from openalign.data.left_out import Kind, listed
from openalign.data.pairs.beside.numbered import numbered_texts
from openalign.data.pairs.folder_files import TEXT_FOLDERS
from openalign.data.shards.captions import (
    captions_of,
    decoded_all,
    field_at,
    hold_a_caption_a_line,
    lines_of,
    usual_field,
    valid,
    with_inner_fields,
)
from openalign.errors import OpenAlignError

TEXT_SUFFIXES = (".txt", ".caption", ".cap")
"""Suffixes of text files beside images, in the order in which they are looked for."""
FIELDS_SUFFIX = ".json"
_NUMBERS = re.compile(r"[\d\s.,;:+\-eE]*\d[\d\s.,;:+\-eE]*")
_NO_CAPTIONS = frozenset(
    ("readme", "license", "licence", "notice", "changelog", "requirements", "classes", "classnames", "labels", "words")
)
"""Names of text files about a folder, in lower case, which no image has."""
_MOST_TEXT_BYTES = 1 << 20


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


def texts_beside(images: Iterable[str], files: Iterable[str]) -> Beside:
    """The text files of each image: of the same name in its folder, or in `captions/` or `labels/` beside `images/`."""
    by_key: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        suffix = f".{file.rpartition('.')[2].lower()}"
        if suffix in TEXT_SUFFIXES or suffix == FIELDS_SUFFIX:
            for key in {file[: -len(suffix)], _without(file[: -len(suffix)], TEXT_FOLDERS)}:
                by_key.setdefault(key, []).append((suffix, file))
    texts: dict[str, dict[str, str]] = {}
    seconds: dict[str, str] = {}
    used: set[str] = set()
    image_of: dict[str, str] = {}
    for image in images:
        stem = image.rpartition(".")[0]
        keys = dict.fromkeys((stem, image, _without(stem, IMAGE_FOLDERS)))
        image_of |= {key: image for key in keys if key not in image_of}
        for suffix, file in (each for key in keys for each in by_key.get(key, ())):
            if texts.setdefault(image, {}).setdefault(suffix, file) != file and suffix in TEXT_SUFFIXES:
                seconds[image] = file
            used.add(file)
    further = _add_numbered(texts, image_of, by_key, used)
    every = {file: suffix for found in by_key.values() for suffix, file in found if file not in used}
    alone = sorted(file for file, suffix in every.items() if suffix in TEXT_SUFFIXES)
    stems = {file.rpartition(".")[0] for file in alone}
    fields = (file for file, suffix in every.items() if suffix == FIELDS_SUFFIX)
    return Beside(
        texts,
        further,
        seconds,
        [file for file in alone if PurePosixPath(file).stem.lower() not in _NO_CAPTIONS],
        sorted(file for file in fields if file.rpartition(".")[0] not in stems),
    )


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
            contents[file] = _content(folder / file)
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


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise OSError(0, "it is not a file")
    with path.open("rb") as file:
        content = file.read(_MOST_TEXT_BYTES + 1)
    if len(content) > _MOST_TEXT_BYTES:
        raise OSError(0, f"it has more than {_MOST_TEXT_BYTES:,} bytes")
    return content


def captions_in(texts: Sequence[str | None]) -> tuple[list[list[str] | None], bool]:
    """The captions of each text (None stays None), and whether each line is one, as it is in most of them."""
    by_line = hold_a_caption_a_line([text for text in texts if text])
    if by_line:
        return [None if text is None else lines_of(text) for text in texts], True
    return [None if text is None else [" ".join(text.split())] for text in texts], False


def read_fields(folder: Path, files: Sequence[str], problems: list[str]) -> dict[str, dict[str, Any]]:
    """The object in each JSON file; a file that cannot be read or holds something else is told in `problems`."""
    fields: dict[str, dict[str, Any]] = {}
    told: list[str] = []
    for file in files:
        try:
            found = json.loads(_content(folder / file))
            if not isinstance(found, dict):
                raise ValueError("it holds no JSON object")
            json.dumps(found)  # finds nesting that is too deep
        except (OSError, ValueError, RecursionError) as error:
            deep = f"nested deeper than {MOST_LEVELS} levels"
            reason = deep if isinstance(error, RecursionError) else reason_of(error)
            told.append(f"{folder / file} cannot be read ({reason})")
        else:
            fields[file] = {valid(name): value for name, value in found.items()}
    problems += listed(Kind.METADATA_NOT_READ, told, folder)
    return fields


def captions_of_fields(every: Sequence[Mapping[str, Any]], name: str | None) -> tuple[list[list[str]], str | None]:
    """The captions in a field of each object, by default the usual one that most have, and the field's name.

    A field of an object within it is named `alt.en`.
    Raises `OpenAlignError` if no object has the named field.
    """
    field = name or usual_field(every)
    if name and all(name not in with_inner_fields(fields) for fields in every):
        known = ", ".join(dict.fromkeys(each for fields in every for each in with_inner_fields(fields)))
        raise OpenAlignError(f"there is no field {name!r} in the JSON files beside the images; they have {known}")
    if field is None:
        return [[] for _ in every], None
    return [[valid(text) for text in captions_of(_at(fields, field)) or []] for fields in every], field


def _at(fields: Mapping[str, Any], name: str) -> Any:
    try:
        return field_at(fields, name)
    except KeyError:
        return None
