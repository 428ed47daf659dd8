"""A folder of images of which nothing is said."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.data.arrow import strings
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.beside.maps import without_maps
from openalign.data.pairs.beside.unused import holds_annotations, unused_json
from openalign.data.pairs.class_levels import FOLDERS, are_views, nested_classes
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import gathered, image_files
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.table_beside import candidates, why_not
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.suffixes import table_suffix
from openalign.options import option

_MAY_HOLD_TEXTS = re.compile(r"caption|annotation|metadata|prompt|description|texts?\b", re.IGNORECASE)
"""In the name of a text or JSON file that could say something of the images beside it."""


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
        table = pa.table({"image": strings(images), "text": pa.nulls(len(images), pa.string())})
        return replace(Pairs.of(name, table, FileImages(folder, table["image"]), problems), columns={"image": "path"})


def _passed_over(source: Source) -> list[str]:
    """Messages on files that look like texts of the images, and are not, as the layouts before this one found."""
    tables = [
        file
        for file in candidates(source)
        if (table_suffix(file) or _MAY_HOLD_TEXTS.search(file.rpartition("/")[2]))
        and not (file.lower().endswith(".json") and holds_annotations(Path(source.child(file))))
    ]
    problems: list[str] = [
        LeftOut(Kind.FILE_NOT_USED, f"{source.child(table)} {reason or 'names images'}: to use it, give the table")
        for table, reason in why_not(source, tables).items()
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
    told = set(tables)
    if texts := [file for file in source.beside.alone if file not in told]:
        message = f"{source.name}: {len(texts):,} text files are of no single image, the first: {texts[0]}"
        problems.append(LeftOut(Kind.FILE_NOT_USED, message, len(texts)))
    others = [file for file in source.beside.fields_alone if file not in told]
    assert isinstance(source.at, Path)
    return [*problems, *source.unread_texts(), *unused_json(source.at, source.name, others)]
