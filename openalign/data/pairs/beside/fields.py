"""JSON files beside images: what they are called, their fields, and what is said of those that hold no caption."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openalign.data.files.damage import reason_of
from openalign.data.files.json_files import MOST_LEVELS
from openalign.data.left_out import Kind, listed
from openalign.data.shards.captions import (
    captions_of,
    field_at,
    usual_field,
    valid,
    with_inner_fields,
)
from openalign.errors import OpenAlignError

FIELDS_SUFFIX = ".json"
MOST_TEXT_BYTES = 1 << 20
"""Longer files beside images are no texts of theirs."""
_SOME = 200
"""Files that are read at a time, until one has a caption."""
_TAKEOUT = "supplemental-metadata"
_OF_TAKEOUT = re.compile(r"(.+\.\w{2,5})(?:\.([a-z-]*))?(\(\d{1,4}\))?", re.DOTALL)
_LONGEST_OF_TAKEOUT = 46
"""Characters before `.json` at which Google Takeout cuts a name."""


def image_of_takeout(stem: str) -> str | None:
    """The image that a JSON file of this name belongs to in an archive of Google Photos; None for any other name.

    `a.jpg.supplemental-metadata`, which is cut where it is long (`a.jpg.supplemental-me`, `a.jpg.`); a second photo of
    the name, `a(1).jpg`, has `a.jpg.supplemental-metadata(1)`, or `a.jpg(1)`.
    """
    found = _OF_TAKEOUT.fullmatch(stem)
    if found is None or not _TAKEOUT.startswith(found[2] or "") or found[2] is found[3] is None:
        return None
    name, _, suffix = found[1].rpartition(".")
    return f"{name}{found[3] or ''}.{suffix}"


def cut_names(files: Iterable[str], images: Iterable[str]) -> dict[str, str]:
    """The image of each JSON file whose name was cut off within that of its image, if only one begins so."""
    stems = (file[: -len(FIELDS_SUFFIX)] for file in files)
    long = [stem for stem in stems if len(stem.rpartition("/")[2]) == _LONGEST_OF_TAKEOUT]
    if not long:
        return {}
    by_start: dict[str, list[str]] = {}
    for image in images:
        folder, slash, name = image.rpartition("/")
        by_start.setdefault(f"{folder}{slash}{name[:_LONGEST_OF_TAKEOUT]}", []).append(image)
    return {f"{stem}{FIELDS_SUFFIX}": found[0] for stem in long if len(found := by_start.get(stem, [])) == 1}


def read_fields(folder: Path, files: Sequence[str], problems: list[str]) -> dict[str, dict[str, Any]]:
    """The object in each JSON file; a file that cannot be read or holds something else is told in `problems`.

    A text alone, or a list of them, is the field `captions`, as in tars.
    """
    fields: dict[str, dict[str, Any]] = {}
    told: list[str] = []
    for file in files:
        try:
            found = json.loads(content_of(folder / file))
            if isinstance(found, str) or (isinstance(found, list) and all(isinstance(each, str) for each in found)):
                found = {"captions": found}
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


def content_of(path: Path) -> bytes:
    """The content of a text or JSON file. Raises `OSError` if it is none, or too large for one."""
    if not path.is_file():
        raise OSError(0, "it is not a file")
    with path.open("rb") as file:
        content = file.read(MOST_TEXT_BYTES + 1)
    if len(content) > MOST_TEXT_BYTES:
        raise OSError(0, f"it has more than {MOST_TEXT_BYTES:,} bytes")
    return content


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


def first_with_caption(folder: Path, files: Sequence[str]) -> str | None:
    """The first JSON file that holds a caption in a usual field; None if none does."""
    for start in range(0, len(files), _SOME):
        fields = read_fields(folder, files[start : start + _SOME], [])
        if usual_field(list(fields.values())) is not None:
            return next(file for file, each in fields.items() if usual_field([each]) is not None)
    return None
