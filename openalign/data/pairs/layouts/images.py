"""A folder of images of which nothing is said."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.data.arrow import strings
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.beside.embedded import EMBEDDED, embedded_captions, embedded_note
from openalign.data.pairs.beside.maps import without_maps
from openalign.data.pairs.beside.unused import holds_annotations, unused_json
from openalign.data.pairs.class_levels import FOLDERS, are_views, nested_classes
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import gathered, image_files
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.table_beside import candidates, why_not
from openalign.data.pairs.listed_splits import with_listed_splits
from openalign.data.pairs.not_read import NAMES_IMAGES, NAMES_NONE
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.suffixes import table_suffix
from openalign.options import option

_MAY_HOLD_TEXTS = re.compile(r"caption|annotation|metadata|prompt|description|texts?\b", re.IGNORECASE)
"""In the name of a text or JSON file that could say something of the images beside it."""
_MOST_LISTS = 50
"""Text files that are looked into for the names of images."""


class Images:
    """All images below a folder, sorted by path, without texts. The part is the folder."""

    name = "images"
    title = "folder of images without texts"
    recognised_by = "image files in the folder or below, and nothing that could be their texts"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path) or not source.images:
            return None
        problems = _passed_over(source)
        return Finding(f"it holds {source.images[0]}", source.parts({"": [""]}), problems, gives_texts=False)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        folder, files = gathered([part for part in parts if isinstance(part, Path)])
        problems: list[str] = []
        images = without_maps(image_files(files, folder), name, problems)
        taken = {"image": "path"}
        texts: Sequence[str | None] = [None] * len(images)
        if options.text_column == EMBEDDED:
            texts, taken["text"] = embedded_captions(folder, images), "the caption in each image file"
        else:
            problems += embedded_note(folder, images, name)
        table = pa.table({"image": strings(images), "text": strings(texts)})
        pairs = replace(Pairs.of(name, table, FileImages(folder, table["image"]), problems), columns=taken)
        return with_listed_splits(name, pairs)


def _passed_over(source: Source) -> list[str]:
    """Messages on files that look like texts of the images, and are not, as the layouts before this one found."""
    may_be_tables = [file for file in candidates(source) if not _holds_annotations(source, file)]
    looks_like = {
        file for file in may_be_tables if table_suffix(file) or _MAY_HOLD_TEXTS.search(file.rpartition("/")[2])
    }
    lists = [file for file in may_be_tables if file not in looks_like and file.lower().endswith(".txt")]
    reasons = why_not(source, [*sorted(looks_like), *lists[:_MOST_LISTS]])
    tables = {file: reason for file, reason in reasons.items() if file in looks_like or reason.startswith(NAMES_IMAGES)}
    problems: list[str] = [
        LeftOut(Kind.FILE_NOT_USED, f"{source.child(table)} {_with_advice(reason)}") for table, reason in tables.items()
    ]
    if are_views(source.own_images):
        problems.append(
            f"{source.name}: its folders hold images of the same names, so the names of the folders are not taken for "
            f"texts; to read one of them, give that folder; {option(layout='class-folders')} takes them all the same"
        )
    elif levels := nested_classes(source.own_images):
        path = "/".join(levels)
        problems.append(
            f"{source.name}: the names of its folders, such as {path}, may say what the images show: "
            f"{option(layout='class-folders')} takes the last ({levels[-1]}), with {option(text_column=FOLDERS)} all "
            f"of them, with {option(text_column='folder_1')} the first"
        )
    told = {*tables, *source.split_lists}
    if texts := [file for file in source.beside.alone if file not in told]:
        message = f"{source.name}: {len(texts):,} text files are of no single image, the first: {texts[0]}"
        problems.append(LeftOut(Kind.FILE_NOT_USED, message, len(texts)))
    others = [file for file in source.beside.fields_alone if file not in told]
    assert isinstance(source.at, Path)
    return [*problems, *source.unread_texts(), *unused_json(source.at, source.name, others)]


def _holds_annotations(source: Source, file: str) -> bool:
    return file.lower().endswith(".json") and holds_annotations(Path(source.child(file)))


def _with_advice(reason: str) -> str:
    """Why a table is not read, and what to do where it could be read all the same."""
    if not reason:
        return f"{NAMES_IMAGES}: to have it read, give the table instead of the folder"
    if reason.startswith(NAMES_NONE):
        return f"{reason}. If its images are elsewhere, give the table instead of the folder"
    return reason
