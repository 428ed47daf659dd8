"""What a row of a source is called, and what its further columns hold."""

import hashlib
import json
import math
from typing import Any

import pyarrow as pa

OWN_COLUMNS = ("image", "text", "label", "page")
"""Columns of a source with a meaning of their own."""
_LONGEST_NAME = 2000
"""Characters; a longer one is the image itself, written as text."""
_LONGEST_FIELD = 2000


def image_name(value: str | None, source_row: int) -> str:
    """The name of an image in its source; one that has none is called by its row there, from 1."""
    if not value:
        return f"row {source_row + 1}"
    if len(value) <= _LONGEST_NAME:
        return value
    return f"{value[:40]}... {hashlib.blake2b(value.encode(), digest_size=16).hexdigest()}"


def further_columns(table: pa.Table) -> list[str]:
    """The columns that `fields_of` takes: all but those with a meaning of their own, bytes and objects."""
    return [field.name for field in table.schema if field.name not in OWN_COLUMNS and _is_plain(field.type)]


def fields_of(table: pa.Table) -> list[str | None]:
    """The filled values of each row by column, as a JSON object: numbers and lists as they are, all else as text."""
    rows = ({name: _plain(value) for name, value in row.items()} for row in table.to_pylist())
    filled = ({name: value for name, value in row.items() if value is not None} for row in rows)
    return [json.dumps(row, ensure_ascii=False) if row else None for row in filled]


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return str(value)[:_LONGEST_FIELD] if value not in (None, "") else None
