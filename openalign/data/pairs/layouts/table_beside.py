"""A table beside images, under any name, that names them: Flickr8k's `captions.txt`, tables of Kaggle and others."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.checksums import CHECKSUMS
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import tables_of_names
from openalign.data.pairs.combine import combined
from openalign.data.pairs.evidence.joined import partner_of, why_not_joined
from openalign.data.pairs.evidence.peek import first_columns, is_image_file
from openalign.data.pairs.folder_files import gathered
from openalign.data.pairs.from_tables import pairs_of_each
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.listed_splits import with_listed_splits
from openalign.data.pairs.named_images import NamedImages, folders_up_to
from openalign.data.pairs.not_read import NAMES_IMAGES, NAMES_NONE, why_not_read
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import split_of, standard_split_of
from openalign.data.tables.suffixes import table_suffix
from openalign.errors import OpenAlignError

_OWN_STEMS = ("metadata", "pairs")
"""Names of tables that layouts of their own read."""
_DEEPEST = 2
"""Folders between the data and a table that names their images."""
_PREDICTIONS = re.compile(r"submission|submit(?:_|$)")
"""In the name of the table that a competition wants back: its texts and labels are made up."""


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
        for file, partner in _partners(source, reasons).items():
            reasons[file] = ""
            reasons.pop(partner, None)
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
        partners = {table: found for table in tables if (found := partner_of(table, named.are_named_by)) is not None}
        read, problems = pairs_of_each(tables, options, named, partners)
        apart = _why_not_together(name, read)
        if options.need_text and apart:
            raise OpenAlignError(apart)
        if options.need_text:
            _check_headers(name, read, problems)
        if apart:
            pairs = _without_texts(combined(name, read, problems), apart)
        elif len(read) > 1:
            pairs = combined(name, read, problems)
        else:
            pairs = replace(read[0], name=name, problems=(*problems, *read[0].problems))
        pairs = named.with_unnamed(pairs) if _is_alone(tables) else pairs
        return with_listed_splits(name, pairs)


def _partners(source: Source, reasons: Mapping[str, str]) -> dict[str, str]:
    """Tables that name images, each with the one beside it that has their texts."""
    assert isinstance(source.at, Path)
    naming = [file for file, reason in reasons.items() if not reason or reason.startswith(NAMES_IMAGES)]
    found = {file: partner_of(source.at / file, source.named_images.are_named_by) for file in naming}
    return {
        file: partner.path.relative_to(source.at).as_posix() for file, partner in found.items() if partner is not None
    }


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


def _why_not_together(name: str, read: Sequence[Pairs]) -> str:
    """What to say if two tables of one split name an image, since they differ in what they say of it; else ""."""
    known: dict[tuple[str, str], str] = {}
    for pairs in read:
        table = Path(pairs.name)
        split = split_of(table.name) or split_of(table.parent.name)
        for image in set(pairs.table["image"].to_pylist()):
            other = known.setdefault((split, image), pairs.name)
            if other != pairs.name:
                return (
                    f"{name} holds several tables that name its images ({Path(other).name}, {table.name}): give one of "
                    f"them, as {other}"
                )
    return ""


def _without_texts(pairs: Pairs, why: str) -> Pairs:
    """The images of several tables that may contradict each other, each once, with nothing that these say of them."""
    pairs = pairs.one_per_image()[0]
    table = pa.table({"image": pairs.table["image"], "text": pa.nulls(len(pairs), pa.string())})
    note = f"{why}; what they say of the images is not read"
    return replace(pairs, table=table, problems=(*pairs.problems, note), columns={"image": pairs.columns["image"]})


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
    reasons = {file: why_not_read(Path(source.child(file)), source.named_images) for file in tables}
    naming = [Path(source.child(file)) for file, reason in reasons.items() if not reason.startswith(NAMES_NONE)]
    return {
        file: reason + why_not_joined(Path(source.child(file)), naming) if reason.startswith(NAMES_NONE) else reason
        for file, reason in reasons.items()
    }


def _images_of(source: str, tables: Sequence[Path]) -> NamedImages:
    """The images that the tables name: below their folder, else below one above it in `source`."""
    folder = _common_folder(tables)
    for each in folders_up_to(source, folder):
        base, files = gathered([each])
        named = NamedImages(base, files, split_of=standard_split_of)
        if not any(why_not_read(table, named) for table in tables):
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
    beside = {each for table in tables for each in table.parent.iterdir() if table_suffix(each, named=True)}
    return not any(ours) or {split_of(each.name) for each in beside} <= {*ours, ""}
