"""The first values of each column of a table, read from its first bytes, by which is told what the table is."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from openalign.data.files.charset import decode_detected, decode_marked
from openalign.data.files.fields import after_first_blanks, image_like, separated_by_blanks
from openalign.data.files.text_source import TableSource
from openalign.data.images.formats import is_image_name
from openalign.data.tables.dialect import without_comments
from openalign.data.tables.json_lines import objects_in
from openalign.data.tables.json_tables import read_json_table
from openalign.data.tables.suffixes import TEXTS, packing_of, table_suffix
from openalign.errors import OpenAlignError

_BYTES = 1 << 16
_ROWS = 200
_IMAGES = re.compile(rb'"images"\s*:\s*\[')
_JSON_LIST = re.compile(r"\[\s*\{")
_JSON_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*\{')
_JSON_KEY_OF_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*["\[]')
_JSON_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')

UNNAMED_COLUMN = "column "
"""How the columns of a table without a header are called, with their numbers."""
Columns = dict[str, list[str | None]]


def first_columns(table: Path, are_images: Callable[[Sequence[str]], bool] | None = None) -> Columns:
    """The first values of each column as texts: of objects those of their fields, of lists the first.

    `are_images` tells whether the first words of lines are ids of images, so that a blank ends the first column. Of
    JSON in one piece also, under "", the names of image files anywhere in it, or its keys. Raises what the readers
    do.
    """
    if table.suffix.lower() == ".parquet":
        with pq.ParquetFile(table) as file:
            batch = next(file.iter_batches(_ROWS), None)
        return _of_objects(batch.to_pylist() if batch else ())
    source = TableSource.of(table, packing_of(table)).after_separator_line()
    start = source.start(_BYTES)
    if table.suffix.lower() == ".json":
        # Annotations in the form of COCO are a layout of their own where they are captions.
        if _IMAGES.search(start):
            return {}
        return _in_json(_decoded(start)) if len(start) == _BYTES else _in_small_json(source, _decoded(start))
    if table_suffix(table) in (".jsonl", ".ndjson"):
        rows = [row for _, row in objects_in(_decoded(start)) if row is not None]
        return _of_objects(rows[:_ROWS])
    source = without_comments(source)
    start = source.start(_BYTES)
    lines = [line for line in _decoded(start).splitlines() if line.strip()]
    lines = lines[: _ROWS + 1] if len(start) < _BYTES else lines[:-1][: _ROWS + 1]  # the last one is cut off
    if table_suffix(table, named=True) in TEXTS and _ends_at_blank(lines, are_images):
        lines = ["\t".join(line.strip().split(maxsplit=1)) for line in lines]
        return _delimited(lines, "\t", has_header=False)
    return _delimited(lines, source.separator)


def _ends_at_blank(lines: Sequence[str], are_images: Callable[[Sequence[str]], bool] | None) -> bool:
    """Whether a blank ends the name of an image in each line."""
    encoded = [line.encode() for line in lines]
    if separated_by_blanks(encoded):
        return True
    ids = [word.decode() for word, _ in after_first_blanks(encoded)]
    return are_images is not None and len(ids) > 1 and are_images(ids)


def is_image_file(value: str | None) -> bool:
    """Whether a value is the name of an image file, also with the number of a caption (`a.jpg#0`)."""
    return value is not None and is_image_name(value.partition("#")[0])


def _delimited(lines: Sequence[str], separator: str | None, *, has_header: bool = True) -> Columns:
    if not lines:
        return {}
    delimiter = separator or max("\t,;|", key=lines[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    has_header = has_header and len(rows) > 1 and not any(image_like(cell.encode(errors="replace")) for cell in rows[0])
    names = rows[0] if has_header else []
    widest = max(map(len, rows))
    names = [names[place] if place < len(names) else f"{UNNAMED_COLUMN}{place + 1}" for place in range(widest)]
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    rows = rows[1:] if has_header else rows
    found = {
        name: [_written(row[place]) if place < len(row) else None for row in rows] for name, place in places.items()
    }
    return {name: found[name] for name in names}


def _of_objects(rows: Sequence[dict[str, Any]]) -> Columns:
    flat = [dict(_cells("", row)) for row in rows]
    return {name: [row.get(name) for row in flat] for name in dict.fromkeys(name for row in flat for name in row)}


def _cells(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _cells(f"{name}.{inner}" if name else str(inner), each)
    elif isinstance(value, list):
        yield from _cells(name, next(iter(value), None))
    elif isinstance(value, bool | int | float):
        yield name, str(int(value)) if isinstance(value, bool) else str(value)
    elif isinstance(value, str):
        yield name, _written(value)


def _written(cell: str) -> str:
    """A cell; of a list that is written as JSON the first text."""
    if not cell.lstrip().startswith("["):
        return cell
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return found[0] if found and isinstance(found[0], str) else cell


def _in_small_json(source: TableSource, text: str) -> Columns:
    """`_in_json` of a whole file; nothing of an object about a single image, or about the data."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _in_json(text)  # whoever gives it learns why
    if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return {"": list(value)}  # a text for each image
    try:
        return {} if read_json_table(source, []) is None else _in_json(text)
    except OpenAlignError:
        return {}


def _in_json(text: str) -> Columns:
    """The fields of the first objects in a list, and under "" the names of image files anywhere, else the keys."""
    names = [name for name in _JSON_TEXT.findall(text) if is_image_file(name)]
    rows: list[dict[str, Any]] = []
    if first := _JSON_LIST.search(text):
        for _, row in objects_in(text[first.end() - 1 :]):
            if row is None or len(rows) == _ROWS:  # the last one is cut off
                break
            rows.append(row)
    return {**_of_objects(rows), "": list(names or _JSON_KEY.findall(text) or _JSON_KEY_OF_TEXT.findall(text))}


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(content) - 4:
            return content[: error.start].decode("utf-8-sig")
    return (decode_marked(content) or decode_detected(content) or ("", ""))[0]
