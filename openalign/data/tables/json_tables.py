"""Tables in one piece of JSON: a list of objects, an object by the image's path or of columns, captions of COCO."""

import json
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from openalign.data.files.damage import reason_of
from openalign.data.files.text_source import TableSource, is_utf8
from openalign.data.left_out import Kind, listing
from openalign.data.tables.coco import captions_table, is_captions
from openalign.data.tables.columns import TEXT_NAMES, usual_name
from openalign.data.tables.combine import table_of, with_utf8
from openalign.data.tables.dialect import image_like
from openalign.errors import OpenAlignError

MOST_BYTES = 1 << 30
"""Largest file that is read: in memory it takes some five times as much. JSON Lines have no such limit."""


def read_json_table(source: TableSource, problems: list[str]) -> pa.Table | None:
    """The rows of a file that is one JSON value; None if its lines are objects of their own, so it is JSON Lines.

    Raises `OpenAlignError` if it is not JSON, too large, or holds no rows.
    """
    where = str(source.path)
    content = _content(source)
    if not is_utf8(content):
        source, noted = source.converted_to_utf8()
        problems += noted
        content = _content(source)
    try:
        value = json.loads(content.decode("utf-8-sig", errors="replace"))
    except RecursionError:
        raise OpenAlignError(f"{where} is nested too deeply to be read as JSON") from None
    except ValueError as error:
        if _is_first_line_an_object(content):
            return None
        raise OpenAlignError(f"{where} cannot be read as JSON: {reason_of(error)}") from None
    if is_captions(value):
        return captions_table(value, where, problems)
    return _rows_of(value, where, problems)


def starts_with_list(source: TableSource) -> bool:
    """Whether the first character is that of a JSON list, so that the file is no JSON Lines of objects."""
    return source.start(1 << 12).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _content(source: TableSource) -> bytes:
    with source.stream() as stream:
        content: bytes = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OpenAlignError(
            f"{source.path} has more than {MOST_BYTES >> 20:,} MB in one piece of JSON: write it as JSON Lines "
            "(.jsonl), an object a line"
        )
    return content


def _is_first_line_an_object(content: bytes) -> bool:
    first = next((line for line in content.splitlines()[:1000] if line.strip()), b"")
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _rows_of(value: Any, where: str, problems: list[str]) -> pa.Table:
    rows = _listed(value)
    if not rows:
        raise OpenAlignError(
            f"{where} holds no list of objects, no captions by image and no columns: there are no rows in it"
        )
    found: list[dict[str, Any]] = []
    with listing(problems, where) as left_out:
        for number, row in enumerate(rows, 1):
            if isinstance(row, dict):
                found.append(with_utf8(row))
            else:
                left_out.add(Kind.ROW_NOT_PARSED, f"{where} entry {number} is not an object, and is left out")
    if not found:
        raise OpenAlignError(f"{where} has no rows: none of its {len(rows):,} entries is an object")
    return table_of(found)


def _listed(value: Any) -> list[Any]:
    """The rows: of a list, of the only list of objects in an object, of an object keyed by the image's path, or of one
    of columns, each a list or an object keyed by the row, as SBU's captions are and pandas writes tables.
    """
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return []
    lists = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
    if len(lists) == 1:
        return lists[0]
    if value and all(image_like(str(name).encode(errors="replace")) for name in list(value)[:1000]):
        return [_entry(name, each) for name, each in value.items()]
    if _holds_captions(list(value.values())[:1000]):  # by names without a suffix, as kohya's meta_cap.json
        return [_entry(name, each) for name, each in value.items()]
    rows = _rows_of_columns(value)
    if not rows and len(value) > 1 and all(isinstance(each, str) for each in value.values()):  # texts by names
        return [_entry(name, each) for name, each in value.items()]
    return rows


def _holds_captions(values: list[Any]) -> bool:
    """Whether all values are objects, most of them with a text."""
    if len(values) < 1 or not all(isinstance(each, dict) for each in values):
        return False
    return 2 * sum(usual_name([str(name) for name in each], TEXT_NAMES) is not None for each in values) > len(values)


def _rows_of_columns(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object of at least two columns. A field that is no list beside lists is none, as in `version`."""
    lists = {name: each for name, each in value.items() if isinstance(each, list)}
    if len(lists) > 1 and len({len(each) for each in lists.values()}) == 1:
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    keyed = [each for each in value.values() if isinstance(each, dict)]
    numbers = keyed[0].keys() if 1 < len(keyed) == len(value) else ()
    if all(key.isdecimal() for key in numbers) and all(each.keys() == numbers for each in keyed):
        return [{name: value[name][key] for name in value} for key in numbers]
    return []


def _entry(name: str, value: Any) -> dict[str, Any]:
    """The row of an image by its path: its value is a text, a list of texts, or an object with further fields."""
    if isinstance(value, dict):
        return {"image": str(PurePath(name)), **{key: each for key, each in value.items() if key != "image"}}
    return {"image": str(PurePath(name)), "text": value}
