"""Text and JSON files beside images that are not read, and why: what a folder of images says of them."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from openalign.checksums import CHECKSUMS
from openalign.data.left_out import Kind, LeftOut, counted
from openalign.data.pairs.beside.fields import FIELDS_SUFFIX, read_fields
from openalign.data.pairs.beside.texts import TEXT_SUFFIXES, Beside
from openalign.data.shards.captions import CAPTION_FIELDS, with_inner_fields
from openalign.options import option

_SOME = 200
"""JSON files whose fields are listed."""
_MOST_LISTED = 8
_OF_PROGRAMS = ("_stats.json", CHECKSUMS, "dataset_info.json", "dataset_infos.json", "state.json")
"""Ends of the names of JSON files that programs write for themselves."""
_ANNOTATIONS = re.compile(rb'"(?:images|annotations|categories|licenses)"\s*:\s*\[')
_PEEKED_BYTES = 1 << 16


def unread_texts(folder: Path, where: str, beside: Beside, captions: str | None) -> list[str]:
    """Messages on the text and JSON files with the names of images, where a layout is read that takes none.

    `captions` is one that holds a caption, if any does: then another layout would read them.
    """
    texts = [file for each in beside.texts.values() for suffix, file in each.items() if suffix in TEXT_SUFFIXES]
    jsons = [each[FIELDS_SUFFIX] for each in beside.texts.values() if FIELDS_SUFFIX in each]
    if captions is not None:
        number = len(texts) + len(jsons)
        message = (
            f"{where}: {number:,} text and JSON files beside images are not read in this layout, the first that holds "
            f"a caption: {captions}; {option(layout='caption-files')} reads them"
        )
        return [LeftOut(Kind.FILE_NOT_USED, message, number)]
    found: list[str] = []
    if texts:
        message = f"{where}: {len(texts):,} text files beside images hold no captions, the first: {texts[0]}"
        found.append(LeftOut(Kind.FILE_NOT_USED, message, len(texts)))
    return [*found, *_without_captions(folder, where, jsons)]


def _without_captions(folder: Path, where: str, files: Sequence[str]) -> list[str]:
    """A message on JSON files with the names of images, none of which holds a caption; none if there are no files."""
    if not files:
        return []
    problems: list[str] = []
    fields = read_fields(folder, files[:_SOME], problems)
    known = dict.fromkeys(name for each in fields.values() for name in with_inner_fields(each))
    if any({"title", "description", "photoTakenTime"} <= each.keys() for each in fields.values()):
        why = "they are those of Google Takeout, and nobody described the photos (`description` is empty)"
    else:
        shown = ", ".join(islice(known, _MOST_LISTED)) + (", ..." if len(known) > _MOST_LISTED else "")
        why = f"looked for {', '.join(CAPTION_FIELDS)}"
        if shown:
            why += f"; they have {shown}: {option(layout='caption-files', text_column=next(iter(known)))} takes one"
    readable = len(files) - sum(counted(problems).values())
    message = f"{where}: {readable:,} JSON files beside images hold no caption, the first: {files[0]} ({why})"
    return [*([LeftOut(Kind.FILE_NOT_USED, message, readable)] if fields else []), *problems]


def unused_json(folder: Path, where: str, files: Sequence[str]) -> list[str]:
    """Messages on JSON files with the names of no image, which no layout read: annotations without captions, others."""
    files = [file for file in files if not file.endswith(_OF_PROGRAMS)]
    annotations = [file for file in files if holds_annotations(folder / file)]
    others = sorted({*files} - {*annotations})
    found: list[str] = []
    if annotations:
        message = (
            f"{where}: {len(annotations):,} JSON files of annotations hold no captions (`caption` in `annotations`, or "
            f"`sentences` in `images`), the first: {annotations[0]}"
        )
        found.append(LeftOut(Kind.FILE_NOT_USED, message, len(annotations)))
    if others:
        message = f"{where}: {len(others):,} JSON files name no image that is there, the first: {others[0]}"
        found.append(LeftOut(Kind.FILE_NOT_USED, message, len(others)))
    return found


def holds_annotations(file: Path) -> bool:
    """Whether a JSON file is one of annotations in the form of COCO, with captions or without."""
    try:
        with file.open("rb") as stream:
            return len(set(_ANNOTATIONS.findall(stream.read(_PEEKED_BYTES)))) > 1
    except OSError:
        return False
