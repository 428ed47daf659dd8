"""A table beside images, under any name, that names them: Flickr8k's `captions.txt`, tables of Kaggle and others."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.checksums import CHECKSUMS
from openalign.data.files.damage import reason_of
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import are_ids, tables_of_names
from openalign.data.pairs.combine import combined
from openalign.data.pairs.evidence.labels import are_ids_of_classes
from openalign.data.pairs.evidence.one_hot import classes_in
from openalign.data.pairs.evidence.peek import UNNAMED_COLUMN, Columns, first_columns, is_image_file
from openalign.data.pairs.folder_files import gathered
from openalign.data.pairs.from_tables import pairs_of_each
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.named_images import NamedImages, folders_up_to
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import split_of, standard_split_of
from openalign.data.tables.columns import LABEL_NAMES, usual_name
from openalign.data.tables.suffixes import table_suffix
from openalign.errors import OpenAlignError

_OWN_STEMS = ("metadata", "pairs")
"""Names of tables that layouts of their own read."""
_DEEPEST = 2
"""Folders between the data and a table that names their images."""
_PREDICTIONS = re.compile(r"submission|submit(?:_|$)")
"""In the name of the table that a competition wants back: its texts and labels are made up."""
_MOST_SHOWN = 3
_LONGEST_SHOWN = 40


class TableBeside:
    """Images, and a table that names them. A part is a table."""

    name = "table-beside"
    title = "images with a table that names them"
    recognised_by = "a table (also `captions.txt`) in the folder, whose rows name images in the folder or below it"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path) or not source.images:
            return None
        found = candidates(source)
        if not found:
            return None
        reasons = why_not(source, found)
        tables = [file for file, reason in reasons.items() if not reason]
        if not tables:
            return None
        if rows := [file for file in tables if not _PREDICTIONS.search(_stem(file))]:
            reasons |= dict.fromkeys({*tables} - {*rows}, "is a form for predictions, by its name")
            tables = rows
        if rows := [file for file in tables if not _is_of_classes(source.at / file)]:  # 0, 1 could be ids of images
            tables = rows
        splits: dict[str, list[PathOrUrl]] = {}
        for file in tables:
            splits.setdefault(split_of(file), []).append(source.child(file))
        problems = _not_used(source, {file: reason for file, reason in reasons.items() if reason})
        only_json = all(file.lower().endswith(".json") for file in tables)  # which may be any list of the files
        gives_texts = not (only_json and any(_stem(file) in _OWN_STEMS and table_suffix(file) for file in source.files))
        return Finding(f"{tables[0]} names images that are there", splits, gives_texts=gives_texts, problems=problems)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        tables = [part for part in parts if isinstance(part, Path)]
        named = _images_of(name, tables)
        read, problems = pairs_of_each(tables, options, named)
        _check_apart(name, read)
        if options.need_text:
            _check_headers(name, read, problems)
        if len(read) > 1:
            pairs = combined(name, read, problems)
        else:
            pairs = replace(read[0], name=name, problems=(*problems, *read[0].problems))
        return named.with_unnamed(pairs) if _is_alone(tables) else pairs


def _check_headers(name: str, read: Sequence[Pairs], problems: Sequence[str]) -> None:
    """Raise `OpenAlignError` if the texts of a table without a header are a guess, and another may hold them."""
    guessed = [pairs.name for pairs in read if any("has no header line" in problem for problem in pairs.problems)]
    if guessed and problems:
        raise OpenAlignError(
            f"{name} holds several tables that name its images; {guessed[0]} has no header line, and {problems[0]}: "
            "give the one with the texts, with a line of the names of its columns"
        )


def tables_not_read(source: Source) -> list[str]:
    """A message on each table in a folder whose texts are found elsewhere: what it would say is not read."""
    tables = [file for file in candidates(source) if not file.lower().endswith((".txt", ".json"))]
    reasons = {
        file: reason or "names images, and is not read in this layout"
        for file, reason in why_not(source, tables).items()
    }
    return _not_used(source, reasons)


def _not_used(source: Source, reasons: Mapping[str, str]) -> list[str]:
    """A message on each table that is not read; texts and JSON may be anything, and names of classes are no rows."""
    return [
        LeftOut(Kind.FILE_NOT_USED, f"{source.child(file)} {reason}")
        for file, reason in reasons.items()
        if not file.lower().endswith((".txt", ".json")) and not _is_of_classes(Path(source.child(file)))
    ]


def _is_of_classes(table: Path) -> bool:
    """Whether a table is called as those of the names of classes are, and names no files."""
    if table.absolute() not in tables_of_names([table.absolute().parent]):
        return False
    try:
        return not any(is_image_file(value) for values in first_columns(table).values() for value in values)
    except (OSError, ValueError, pa.ArrowException, OpenAlignError, csv.Error, RecursionError):
        return False


def _check_apart(name: str, read: Sequence[Pairs]) -> None:
    """Raise `OpenAlignError` if two tables of one split name an image: they differ in what they say of it."""
    known: dict[tuple[str, str], str] = {}
    for pairs in read:
        table = Path(pairs.name)
        split = split_of(table.name) or split_of(table.parent.name)
        for image in set(pairs.table["image"].to_pylist()):
            other = known.setdefault((split, image), pairs.name)
            if other != pairs.name:
                raise OpenAlignError(
                    f"{name} holds several tables that name its images ({Path(other).name}, {table.name}): give one of "
                    f"them, as {other}"
                )


def candidates(source: Source) -> list[str]:
    """Tables under names that no other layout takes for its own, and texts and JSON that could be tables."""
    if len(source.images) == len(source.files):
        return []
    images = set(source.images)
    others = [file for file in source.files if file not in images]
    if not others:
        return []
    images |= {image.rpartition(".")[0] for image in source.images}
    every = set(source.files)
    of_images = {file for texts in source.beside.texts.values() for file in texts.values()}
    found = []
    for file in others:
        if file.count("/") > _DEEPEST or file in images or file.rpartition(".")[0] in images or file in of_images:
            continue
        own = _stem(file) in _OWN_STEMS and table_suffix(file) is not None
        own = own or file.endswith((".index.parquet", "_stats.json", CHECKSUMS))
        own = own or f"{file.removesuffix('.parquet')}_stats.json" in every  # img2dataset's list of downloads
        if not own and (file.lower().endswith((".txt", ".json")) or table_suffix(file)):
            found.append(file)
    return found


def _stem(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0].lower()


def why_not(source: Source, tables: Sequence[str]) -> dict[str, str]:
    """Why each of some `candidates` is not read, as the end of a sentence; "" if it names images and may give texts."""
    return {file: _why_not(Path(source.child(file)), source.named_images) for file in tables}


def _why_not(table: Path, named: NamedImages) -> str:
    """ "" if a table has a column that names images which are there, and one that may be a text; else why not."""
    try:
        columns = first_columns(table)
    except (OSError, ValueError, pa.ArrowException, OpenAlignError, csv.Error, RecursionError) as error:
        return f"cannot be read as a table ({reason_of(error)})"
    naming = [name for name, values in columns.items() if named.are_named_by(values, table)]
    if not naming:
        shown = _shown(columns) or "it has no columns"
        return f"names no image that is there: {shown}; images are called {_some(sorted(named.images))}"
    files = [name for name in naming if any(map(is_image_file, columns[name]))]
    # `apple` may be the name of apple.jpg and its text; the column that has the names of files names the images.
    taken = files or [max(naming, key=lambda name: named.number_named(columns[name], table))]
    others = {name: values for name, values in columns.items() if name and name not in taken}
    if "" in naming or any(
        map(_could_be_texts, others.values())
    ):  # names anywhere in JSON: of its form nothing is known
        return ""
    if classes_in(list(columns), list(columns.values())) or _are_named_labels(others, table):
        return ""
    if (label := _column_of_ids(others)) is not None:
        some = _some([each for each in others[label] if each])
        return (
            f"names images that are there, but has only ids of classes, in `{label}` ({some}), and no file names them; "
            "classes.csv beside it or in the folder above, with an id and a name in each row, would"
        )
    return f"names images that are there, but has no texts: {_shown(others) or 'it has no other columns'}"


def _are_named_labels(columns: Columns, table: Path) -> bool:
    """Whether there is a column of ids of classes, and a file beside the table that may name them."""
    around = [table.absolute().parent, table.absolute().parent.parent]
    return _column_of_ids(columns) is not None and bool(tables_of_names(around))


def _column_of_ids(columns: Columns) -> str | None:
    """The column of ids of classes: of a usual name, or the first where there is no header; None if there is none."""
    label = usual_name(list(columns), LABEL_NAMES)
    if label is None and (first := next(iter(columns), "")).startswith(UNNAMED_COLUMN):
        label = first
    return label if label is not None and are_ids_of_classes(columns[label]) else None


def _shown(columns: Columns) -> str:
    """The columns in a message, the first ones with values."""
    columns = {name: values for name, values in columns.items() if name}
    first = [f"`{name}` holds {_some([each for each in values if each])}" for name, values in columns.items()]
    return f"{', '.join(first[:_MOST_SHOWN])}{', ...' if len(first) > _MOST_SHOWN else ''}"


def _some(values: Sequence[str]) -> str:
    shown = [value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..." for value in values[:2]]
    return ", ".join(map(repr, shown)) if shown else "nothing"


def _could_be_texts(values: Sequence[str | None]) -> bool:
    """Whether values are neither all ids and numbers nor names of files, as lists of images and boxes have beside them.

    Of JSON only the names are looked at.
    """
    filled = [value for value in values if value]
    return bool(filled) and not are_ids(filled) and not all(map(is_image_file, filled))


def _images_of(source: str, tables: Sequence[Path]) -> NamedImages:
    """The images that the tables name: below their folder, else below one above it in `source`."""
    folder = _common_folder(tables)
    for each in folders_up_to(source, folder):
        base, files = gathered([each])
        named = NamedImages(base, files, split_of=standard_split_of)
        if not any(_why_not(table, named) for table in tables):
            return named
    base, files = gathered([folder])
    return NamedImages(base, files, split_of=standard_split_of)


def _common_folder(tables: Sequence[Path]) -> Path:
    folder = tables[0].parent
    while not all(table.is_relative_to(folder) for table in tables):
        folder = folder.parent
    return folder


def _is_alone(tables: Sequence[Path]) -> bool:
    """Whether no table beside these is that of another split, which may name the images that these do not."""
    ours = {split_of(table.name) for table in tables}
    beside = {each for table in tables for each in table.parent.iterdir() if table_suffix(each)}
    return not any(ours) or {split_of(each.name) for each in beside} <= {*ours, ""}
