"""A table beside images, under any name, that names them: Flickr8k's `captions.txt`, tables of Kaggle and others."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.checksums import CHECKSUMS
from openalign.data.files.charset import decode_detected, decode_marked
from openalign.data.files.text_source import TableSource
from openalign.data.images.formats import is_image_name
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import are_ids
from openalign.data.pairs.combine import combined
from openalign.data.pairs.folder_files import gathered
from openalign.data.pairs.from_tables import pairs_of_each
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_of, standard_split_of
from openalign.data.pairs.named_images import NamedImages, folders_up_to
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.json_tables import read_json_table
from openalign.data.tables.suffixes import packing_of, table_suffix
from openalign.errors import OpenAlignError

_PEEKED_BYTES = 1 << 16
_PEEKED_ROWS = 200
_OWN_STEMS = ("metadata", "pairs")
"""Names of tables that layouts of their own read."""
_DEEPEST = 2
"""Folders between the data and a table that names their images."""
_IMAGES = re.compile(rb'"images"\s*:\s*\[')
_JSON_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*\{')
_JSON_KEY_OF_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*["\[]')
_JSON_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


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
        named = NamedImages(source.at, source.files, split_of=standard_split_of)
        tables = [file for file in found if _names_images(source.at / file, named)]
        if not tables:
            return None
        splits: dict[str, list[PathOrUrl]] = {}
        for file in tables:
            splits.setdefault(split_of(file), []).append(source.child(file))
        others = [file for file in found if file not in tables and not file.lower().endswith((".txt", ".json"))]
        problems = [
            LeftOut(Kind.FILE_NOT_USED, f"{source.child(file)} names no image that is there") for file in others
        ]
        only_json = all(file.lower().endswith(".json") for file in tables)  # which may be any list of the files
        gives_texts = not (only_json and any(_stem(file) in _OWN_STEMS and table_suffix(file) for file in source.files))
        return Finding(f"{tables[0]} names images that are there", splits, gives_texts=gives_texts, problems=problems)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        tables = [part for part in parts if isinstance(part, Path)]
        named = _images_of(name, tables)
        read, problems = pairs_of_each(tables, options, named)
        _check_apart(name, read)
        pairs = combined(name, read, problems) if len(read) > 1 else replace(read[0], name=name)
        return named.with_unnamed(pairs) if _is_alone(tables) else pairs


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
    images = {image.rpartition(".")[0] for image in source.images} | set(source.images)
    every = set(source.files)
    of_images = {file for texts in source.beside.texts.values() for file in texts.values()}
    found = []
    for file in source.files:
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


def _names_images(table: Path, named: NamedImages) -> bool:
    """Whether the first rows of a table have a cell that names an image which is there, and one that may be a text."""
    try:
        rows = list(_first_rows(table))
    except (OSError, ValueError, pa.ArrowException, OpenAlignError, csv.Error, RecursionError):
        return False  # whoever gives the table itself learns why
    if not rows:
        return False
    widest = max(map(len, rows))
    columns = [[row[place] if place < len(row) else None for row in rows] for place in range(widest)]
    naming = [named.are_named_by(column, table) for column in columns]
    files = [names_images and any(map(_is_file, column)) for column, names_images in zip(columns, naming, strict=True)]
    # `apple` may be the name of apple.jpg and its text; the column that has the names of files names the images.
    taken = files if any(files) else naming
    others = [column for column, names_images in zip(columns, taken, strict=True) if not names_images]
    return any(naming) and (any(map(_could_be_texts, others)) or table.suffix.lower() == ".json")


def _could_be_texts(values: Sequence[str | None]) -> bool:
    """Whether values are neither all ids and numbers nor names of files, as lists of images and boxes have beside them.

    Of JSON only the names are looked at.
    """
    filled = [value for value in values if value]
    return bool(filled) and not are_ids(filled) and not all(map(_is_file, filled))


def _is_file(value: str | None) -> bool:
    return value is not None and is_image_name(value.partition("#")[0])


def _first_rows(table: Path) -> Iterator[list[str]]:
    """The texts in the first rows."""
    if table.suffix.lower() == ".parquet":
        with pq.ParquetFile(table) as file:
            batch = next(file.iter_batches(_PEEKED_ROWS), None)
        yield from (list(_texts(row)) for row in (batch.to_pylist() if batch else ()))
        return
    source = TableSource.of(table, packing_of(table)).after_separator_line()
    start = source.start(_PEEKED_BYTES)
    lines = _decoded(start).splitlines()
    lines = lines[:-1] if len(start) == _PEEKED_BYTES else lines  # the last one is cut off
    suffix = table_suffix(table)
    if table.suffix.lower() == ".json":
        yield from ([name] for name in _names_in_json(source, start, "\n".join(lines)))
    elif suffix in (".jsonl", ".ndjson"):
        yield from (list(_texts(json.loads(line))) for line in lines[:_PEEKED_ROWS] if line.strip())
    else:
        lines = [line for line in lines[: _PEEKED_ROWS + 1] if line.strip()]
        delimiter = source.separator or max("\t,;|", key=lambda each: lines[0].count(each) if lines else 0)
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
        yield from rows[1:] or rows  # without the header, if there is one


def _names_in_json(source: TableSource, start: bytes, text: str) -> list[str]:
    """What may be names of images in a JSON file that begins with `text`; none if it is small and has no rows.

    So it is with an object about a single image, or about the data. Annotations in the form of COCO that have captions
    are a layout of their own.
    """
    if _IMAGES.search(start):
        return []
    names = [each for each in _JSON_TEXT.findall(text) if _is_file(each)]
    names = names or _JSON_KEY.findall(text) or _JSON_KEY_OF_TEXT.findall(text)
    if len(start) == _PEEKED_BYTES:
        return names
    try:
        value = json.loads(text)
    except ValueError:
        return names  # whoever gives it learns why
    if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return list(value)
    try:
        return [] if isinstance(value, dict) and read_json_table(source, []) is None else names
    except OpenAlignError:
        return []


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value; those in lists, of which rows may have more or fewer, come after the others."""
    later: list[Any] = []
    for each in value.values() if isinstance(value, dict) else [value]:
        if isinstance(each, list):
            later += each
        elif isinstance(each, dict):
            yield from _texts(each)
        elif isinstance(each, str):
            yield each
    for each in later:
        yield from _texts(each)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(content) - 4:
            return content[: error.start].decode("utf-8-sig")
    return (decode_marked(content) or decode_detected(content) or ("", ""))[0]


def _images_of(source: str, tables: Sequence[Path]) -> NamedImages:
    """The images that the tables name: below their folder, else below one above it in `source`."""
    folder = _common_folder(tables)
    for each in folders_up_to(source, folder):
        base, files = gathered([each])
        named = NamedImages(base, files, split_of=standard_split_of)
        if all(_names_images(table, named) for table in tables):
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
