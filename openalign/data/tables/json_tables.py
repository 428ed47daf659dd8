"""Tables in one piece of JSON: a list of objects, an object by the image's path or of columns, captions of COCO."""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from openalign.data.files.damage import reason_of
from openalign.data.files.fields import image_like
from openalign.data.files.text_source import TableSource, is_utf8
from openalign.data.left_out import Kind, listing
from openalign.data.split_names import split_of
from openalign.data.tables.coco import captions_table, is_captions
from openalign.data.tables.columns import IMAGE_NAMES, TEXT_NAMES, usual_name
from openalign.data.tables.combine import table_of, with_utf8
from openalign.data.tables.dialect import names_without_header
from openalign.data.tables.json_lines import objects_in
from openalign.errors import OpenAlignError

MOST_BYTES = 1 << 30
"""Largest file that is read: in memory it takes some five times as much. JSON Lines have no such limit."""
_LOOKED_AT = 1000
_SHOWN = 3
_OF_PANDAS = '`to_json(path, orient="records", lines=True)`'


def read_json_table(source: TableSource, problems: list[str]) -> pa.Table | None:
    """The rows of a file that is one JSON value; None if it holds one object after the other, as JSON Lines do.

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
        if _holds_objects(content):
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


def _holds_objects(content: bytes) -> bool:
    """Whether the start is that of objects one after the other, each in a line or in several."""
    first = next(objects_in(content[: 1 << 20].decode("utf-8-sig", errors="replace")), (0, None))
    return first[1] is not None


def _rows_of(value: Any, where: str, problems: list[str]) -> pa.Table:
    rows = _listed(value, where)
    if rows and all(isinstance(row, list) for row in rows):
        rows = _with_names(rows, where, problems)
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


def _listed(value: Any, where: str) -> list[Any]:
    """The rows: of a list, of the only list of objects in an object, of lists by split, of an object by the image's
    path or the row's number, or of columns, each a list or an object by row, as SBU's captions are and pandas writes
    tables (`orient` is "records", "index", "columns", "split", "table" or "values").

    Raises `OpenAlignError` if it is none of these, or could be several.
    """
    if isinstance(value, list):
        return value
    rows = _of_object(value, where) if isinstance(value, dict) else []
    if rows:
        return rows
    what = f"an object of {_keys(value)}" if isinstance(value, dict) else f"a single {type(value).__name__}"
    raise OpenAlignError(
        f"{where} holds no list of objects, no captions by image and no columns, but {what}: there are no rows in it. "
        f"Write it as JSON Lines, an object for each image; pandas does so with {_OF_PANDAS}"
    )


def _of_object(value: dict[str, Any], where: str) -> list[Any]:
    if _is_of_pandas_split(value):
        return [dict(zip(value["columns"], row, strict=False)) for row in value["data"]]
    if all(map(_is_split, value)) and all(isinstance(each, list | dict) for each in value.values()):
        return [_of_split(row, name) for name, each in value.items() if each for row in _listed(each, where)]
    lists = {
        name: each for name, each in value.items() if isinstance(each, list) and each and isinstance(each[0], dict)
    }
    if len(lists) > 1:
        if all(map(_is_split, lists)):
            return [_of_split(row, name) for name, each in lists.items() for row in each]
        sizes = ", ".join(f"`{name}` with {len(each):,}" for name, each in lists.items())
        raise OpenAlignError(
            f"{where} holds several lists of objects ({sizes}): write the one that is meant into a file of its own, as "
            "JSON or as JSON Lines"
        )
    if lists:
        return next(iter(lists.values()))
    some = list(value.values())[:_LOOKED_AT]
    if value and all(image_like(str(name).encode(errors="replace")) for name in list(value)[:_LOOKED_AT]):
        return [_entry(name, each) for name, each in value.items()]
    if _mostly_have(some, IMAGE_NAMES):  # by the number of the row, as `orient="index"` of pandas
        return list(value.values())
    if _mostly_have(some, TEXT_NAMES):  # by names without a suffix, as kohya's meta_cap.json
        return [_entry(name, each) for name, each in value.items()]
    rows = _rows_of_columns(value)
    if not rows and len(value) > 1 and all(isinstance(each, str) for each in value.values()):  # texts by names
        return [_entry(name, each) for name, each in value.items()]
    return rows


def _is_split(name: str) -> bool:
    return bool(split_of(name)) and not image_like(name.encode(errors="replace"))


def _keys(value: dict[str, Any]) -> str:
    shown = ", ".join(f"`{name}`" for name in list(value)[:_SHOWN])
    return f"{len(value):,} keys ({shown}{', ...' if len(value) > _SHOWN else ''})" if value else "nothing"


def _is_of_pandas_split(value: dict[str, Any]) -> bool:
    """Whether it is what pandas writes with `orient="split"`: names of columns, and rows as lists."""
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(data, list) or not data:
        return False
    return all(isinstance(name, str) for name in names) and all(isinstance(row, list) for row in data)


def _of_split(row: Any, split: str) -> Any:
    return {**row, "split": split} if isinstance(row, dict) else [*row, split] if isinstance(row, list) else row


def _mostly_have(values: list[Any], names: Sequence[str]) -> bool:
    """Whether all values are objects, most of them with a field that is called one of `names`."""
    if not values or not all(isinstance(each, dict) for each in values):
        return False
    return 2 * sum(usual_name([str(name) for name in each], names) is not None for each in values) > len(values)


def _with_names(rows: list[list[Any]], where: str, problems: list[str]) -> list[Any]:
    """Rows that are lists, as objects: by the names in the first one, else found as those of a CSV without a header."""
    written = [[cell if isinstance(cell, str) else "" for cell in row] for row in rows if len(row) == len(rows[0])]
    has_image = any(image_like(cell.encode(errors="replace")) for cell in written[0])
    if not has_image and all(written[0]) and usual_name(written[0], IMAGE_NAMES):
        return [dict(zip(written[0], row, strict=False)) for row in rows[1:]]
    if not has_image or len(rows[0]) < 2:
        raise OpenAlignError(f"{where} is a list of lists without names of columns: write each row as an object")
    names = names_without_header(written[:_LOOKED_AT], where)
    image, text = names.index("image") + 1, names.index("text") + 1
    problems.append(f"{where} names no columns: item {image} of each row is read as `image`, item {text} as `text`")
    return [dict(zip(names, row, strict=False)) for row in rows]


def _rows_of_columns(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object of columns. A field that is no list beside lists is none, as in `version`."""
    lists = {name: each for name, each in value.items() if isinstance(each, list)}
    is_named = usual_name(list(lists), (*IMAGE_NAMES, *TEXT_NAMES)) is not None
    if not is_named and 1 < len(lists) == len(value) and all(map(_are_captions, lists.values())):
        return [_entry(name, each) for name, each in value.items()]  # by names of images without a suffix
    if len(lists) > 1 and len({len(each) for each in lists.values()}) == 1:
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    keyed = [each for each in value.values() if isinstance(each, dict)]
    if not keyed or len(keyed) < len(value) or not all(each.keys() == keyed[0].keys() for each in keyed):
        return []
    rows = [({name: value[name][key] for name in value}, key) for key in keyed[0]]
    if usual_name([str(name) for name in value], IMAGE_NAMES) or (len(value) > 1 and all(map(str.isdecimal, keyed[0]))):
        return [row for row, _ in rows]
    if usual_name([str(name) for name in value], TEXT_NAMES):  # by the image, as `to_json` of a table with that index
        return [{"image": key, **row} for row, key in rows]
    return []


def _are_captions(values: list[Any]) -> bool:
    """Whether all are texts, and some of several words."""
    return all(isinstance(each, str) for each in values) and any(len(each.split()) > 1 for each in values)


def _entry(name: str, value: Any) -> dict[str, Any]:
    """The row of an image by its path: its value is a text, a list of texts, or an object with further fields."""
    if isinstance(value, dict):
        return {"image": str(PurePath(name)), **{key: each for key, each in value.items() if key != "image"}}
    return {"image": str(PurePath(name)), "text": value}
