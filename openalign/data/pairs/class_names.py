"""Names of classes from the names of their folders, or from a table that gives a name for each id."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from openalign.data.files.charset import decode_detected
from openalign.data.images.formats import is_image_name
from openalign.data.split_names import split_of
from openalign.errors import OpenAlignError

_ID = re.compile(r"n\d{8}|[\d\W_]+|[0-9a-f]{16,}", re.IGNORECASE)
"""A WordNet id, a number or date, or a hash."""
_NUMBERED = re.compile(r"(?:n\d{8}|\d+)[-_. ]+(\D.*)")
"""`n02085620-Chihuahua`, `001.Black_footed_Albatross`."""
_STEMS = (
    *("classnames", "class_names", "classes", "class", "labels", "label_names", "names", "categories", "id_to_name"),
    *("label_map", "labelmap", "id2label", "label2id", "class_to_idx", "idx_to_class", "label_to_id", "category_names"),
    *("words", "synset_words", "synsets", "loc_synset_mapping", "imagenet_class_index", "class_index", "wnid_to_name"),
)
_OF_CLASSES = re.compile(r"class|label|categor")
_IS_MAP = re.compile(r"map|name|desc|dict|index|(?:\b|_)(?:to|2|id|idx)(?:\b|_)")
_OF_A_SET = re.compile(r"(?:categories|classes|class_names|classnames)[-_.\s]?\w+")
"""`categories_places365`, `classes_food101`."""
_INITIAL = re.compile(r"/(\w)/(?=\1)")
"""The start of `/b/bakery/shop`, as Places and SUN write the names of scenes."""
_SUFFIXES = (".txt", ".names", ".csv", ".tsv", ".json", ".pbtxt")
_ITEM = re.compile(r"\{[^{}]*\}")
"""An item of TensorFlow's label map, with a number and a name."""
_ITEM_ID, _ITEM_NAME = re.compile(r"\bid\s*:\s*(\d+)"), re.compile(r"\b(?:display_)?name\s*:\s*[\"']([^\"']+)")
_HEADERS = ("name", "names", "class", "classes", "class_name", "class name", "label", "labels", "category")
_SEPARATORS = ("\t", ",", ";", ":", " ")
_MOST_BYTES = 16 << 20
_InOrder = Callable[[Sequence[str], Sequence[str]], dict[str, str]]
"""Gives each id its name in a list of names alone."""


def are_ids(folders: Iterable[str]) -> bool:
    """Whether all names are ids, as `0`, `n01440764` or `2024-05`, which say nothing of what is in the images."""
    return all(_ID.fullmatch(folder) for folder in folders)


def names_of_folders(folders: Iterable[str]) -> dict[str, str]:
    """The name of each class by its folder's; without the number where all folders begin with one."""
    folders = list(folders)
    found = [_NUMBERED.fullmatch(folder) for folder in folders]
    return {folder: each[1] if each and all(found) else folder for folder, each in zip(folders, found, strict=True)}


def in_words(name: str) -> str:
    """A class as a text: `hot_dog` -> `hot dog`."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def by_number(name: str) -> tuple[int, str]:
    """A key that sorts numbers as such: 2 before 10."""
    return (int(name), name) if name.isdecimal() else (0, name)


def names_of_ids(ids: Iterable[str], folders: Sequence[Path]) -> tuple[dict[str, str], Path | None]:
    """The name of each id by the first table of names in `folders` that has all, else most, and that table.

    A table is called `classnames.txt`, `classes.csv`, `words.txt`, `imagenet_class_index.json` or the like. It has an
    id and a name in each row, or a name for each id in their order. Names are kept whole, with commas.
    """
    wanted = sorted(set(ids), key=by_number)
    best: tuple[dict[str, str], Path | None] = ({}, None)
    for file in tables_of_names(folders):
        names = _names_or_none(file, wanted, _in_order)
        if len(names) > len(best[0]):
            best = names, file
    return best


def names_of_numbers(
    numbers: Iterable[int], folders: Sequence[Path], table: Path
) -> tuple[dict[int, str], Path | None, str]:
    """The name of each number of a class by the first file beside `table` that has all, else most; and that file.

    A file of names alone counts them from 0, or from 1 if there is no 0 and the last number is that of the last name.
    The third value is what to say of that, or of a file that could count from either.
    """
    wanted = sorted({str(each) for each in numbers}, key=by_number)
    best: tuple[dict[int, str], Path | None, str] = ({}, None, "")
    for file in tables_of_names(folders):
        if file == table.absolute():
            continue
        told: list[str] = []
        names = _names_or_none(file, wanted, partial(_by_number, told=told))
        if len(names) > len(best[0]):
            best = {int(number): name for number, name in names.items()}, file, "".join(told)
        elif best[1] is None and told:
            best = {}, None, f"; {file} {told[0]}"
    return best


def _by_number(names: Sequence[str], ids: Sequence[str], told: list[str]) -> dict[str, str]:
    """A name for each number, by its place in a list of names from 0 or from 1; none if either is possible."""
    numbers = [int(each) for each in ids]
    least, most = min(numbers, default=0), max(numbers, default=0)
    if most > len(names) or (most == len(names) and least == 0):
        told[:] = [f"has {len(names):,} names, too few for the number {most}"]
        return {}
    if least > 0 and most < len(names):
        told[:] = [
            f"could name them from 0 as well as from 1: it has {len(names):,} names, and they are {least} to {most}"
        ]
        return {}
    first = int(most == len(names))
    told[:] = [f", counted from {first}"]
    return {each: names[int(each) - first] for each in ids}


def _names_or_none(file: Path, ids: Sequence[str], in_order: _InOrder) -> dict[str, str]:
    """The names in a file; none if it is not a table of names, but one of images or of numbers."""
    try:
        names = _names_in(file, ids, in_order)
    except (OSError, ValueError, RecursionError, csv.Error):
        return {}
    is_other = are_ids(names.values()) or any(map(is_image_name, names.values()))
    return {} if is_other else names


def advice(ids: Iterable[str], folder: Path) -> str:
    """What to do where folders are ids and nothing says what they mean."""
    some = ", ".join(sorted(set(ids), key=by_number)[:3])
    return (
        f"{folder}: the folder names ({some}, ...) are numbers or ids, which are not read as texts; to name the "
        "classes, put classnames.txt beside the folders, with a name a line in their order, or classes.csv with an id "
        "and a name in each row"
    )


def tables_of_names(folders: Iterable[Path]) -> list[Path]:
    """The files in some folders that are called as tables of names of classes are."""
    return [each for folder in folders for each in _tables_in(folder)]


def _tables_in(folder: Path) -> list[Path]:
    try:
        files = sorted(each for each in folder.iterdir() if each.is_file())
    except OSError:
        return []
    known = [each for each in files if _may_name_classes(each.stem.lower()) and each.suffix.lower() in _SUFFIXES]
    return sorted(
        known, key=lambda each: _STEMS.index(each.stem.lower()) if each.stem.lower() in _STEMS else len(_STEMS)
    )


def _may_name_classes(stem: str) -> bool:
    """Whether a file is called `classes`, or `label_num_to_disease_map` or the like."""
    if stem in _STEMS or (_OF_CLASSES.search(stem) and _IS_MAP.search(stem)):
        return True
    return _OF_A_SET.fullmatch(stem) is not None and not split_of(stem)


def _names_in(file: Path, ids: Sequence[str], in_order: _InOrder) -> dict[str, str]:
    if file.stat().st_size > _MOST_BYTES:
        raise OpenAlignError(f"{file} is too large for a table of names")
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = (decode_detected(content) or ("", ""))[0]
    if file.suffix.lower() == ".json":
        return _of_json(json.loads(text), ids, in_order)
    if file.suffix.lower() == ".pbtxt":
        items = [
            [each[1] for key in (_ITEM_ID, _ITEM_NAME) if (each := key.search(item))] for item in _ITEM.findall(text)
        ]
        return _of_rows([each for each in items if len(each) > 1], ids, in_order)
    lines = [line for line in text.splitlines() if line.strip()]
    if file.suffix.lower() == ".csv":
        return _of_rows([[cell.strip() for cell in row] for row in csv.reader(lines)], ids, in_order)
    separated = [_split(line, ids) for line in lines]
    if all(len(row) == 1 for row in separated):
        separated = _numbered_at_end(lines, ids) or separated
    with_ids = [row for row in separated if len(row) > 1]
    return _of_rows(with_ids, ids, in_order) if with_ids else in_order([line.strip() for line in lines], ids)


def _split(line: str, ids: Sequence[str]) -> list[str]:
    """The id and the rest of a line that begins with one of `ids`; else the line."""
    known = {_key(each) for each in ids}
    for separator in _SEPARATORS:
        first, found, rest = line.strip().partition(separator)
        if found and _key(first) in known and rest.strip():
            return [first.strip(), rest.strip()]
    return [line.strip()]


def _numbered_at_end(lines: Sequence[str], ids: Sequence[str]) -> list[list[str]]:
    """The number at the end of each line and the name before it; none if numbers or names repeat, or lack an id."""
    found = [(parts[1], parts[0]) for line in lines if len(parts := line.rsplit(maxsplit=1)) == 2]
    numbers = {_key(number) for number, _ in found if number.isdecimal()}
    names = {name for _, name in found}
    if not len(numbers) == len(names) == len(lines) or not {_key(each) for each in ids} <= numbers:
        return []
    are_scenes = all(map(_INITIAL.match, names))
    return [[number, name.split("/", 2)[2].replace("/", " ") if are_scenes else name] for number, name in found]


def _key(written: str) -> str:
    """An id in the one way in which it is compared: `007` is `7`."""
    stripped = written.strip()
    return str(int(stripped)) if stripped.isdecimal() else stripped.lower()


def _of_rows(rows: Sequence[Sequence[str]], ids: Sequence[str], in_order: _InOrder) -> dict[str, str]:
    """Names by the rows that hold an id; in the order of the ids if no row does."""
    by_key = {_key(each): each for each in ids}
    names: dict[str, str] = {}
    for row in rows:
        place = next((place for place, cell in enumerate(row) if _key(cell) in by_key), None)
        if place is None:
            continue
        name = _name_of(row, place, len(set(map(len, rows))) == 1)
        if name:
            names.setdefault(by_key[_key(row[place])], name)
    if names:
        return names
    first = [row[0] for row in rows if row and row[0]]
    first = first[1:] if first and first[0].lower() in _HEADERS else first
    return in_order(first, ids) or in_order(first[1:], ids)


def _name_of(row: Sequence[str], place: int, alike: bool) -> str:
    """The name in a row with an id at `place`: the first cell with letters, those after the id first.

    `alike`: all rows have as many cells. If not, a name with commas was not quoted, and is several of them.
    """
    after = [cell for cell in row[place + 1 :] if cell]
    if not alike:
        return ", ".join(after)
    named = [cell for cell in (*after, *row[:place]) if cell and not _ID.fullmatch(cell)]
    return next(iter(named), after[0] if after else "")


def _of_json(content: Any, ids: Sequence[str], in_order: _InOrder) -> dict[str, str]:
    if isinstance(content, Mapping) and len(content) == 1 and isinstance(next(iter(content.values())), list | Mapping):
        return _of_json(next(iter(content.values())), ids, in_order)  # `{"classes": [...]}`
    if isinstance(content, list) and all(isinstance(each, str) for each in content):
        return in_order(content, ids)
    if isinstance(content, list) and all(isinstance(each, Mapping) for each in content):
        return _of_rows(
            [[str(cell) for cell in each.values() if isinstance(cell, str | int)] for each in content], ids, in_order
        )
    if not isinstance(content, Mapping):
        return {}
    rows = []
    for key, value in content.items():
        cells = value if isinstance(value, list) else [value]
        rows.append([str(key), *(str(cell) for cell in cells if isinstance(cell, str | int))])
    wordnet = any(re.fullmatch(r"n\d{8}", each) for each in ids)
    return _of_rows([row[1:] for row in rows] if wordnet and all(len(row) > 2 for row in rows) else rows, ids, in_order)


def _in_order(names: Sequence[str], ids: Sequence[str]) -> dict[str, str]:
    """A name for each id: by number where there are more names than ids, else by the place of the id among them."""
    if len(names) == len(ids):
        return dict(zip(ids, names, strict=True))
    numbers = [int(each) for each in ids if each.isdecimal()]
    if len(numbers) == len(ids) and numbers and max(numbers) < len(names):
        return {each: names[int(each)] for each in ids}
    return {}
