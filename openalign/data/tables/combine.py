"""Tables of rows, and concatenation of tables, that need not have the same columns."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from openalign.errors import OpenAlignError

_ARROW_ERRORS = (pa.ArrowException, ValueError, TypeError, OverflowError)
_SURROGATE = re.compile("[\ud800-\udfff]")


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """A table of rows that need not have the same fields.

    A field that holds now a text, now a list of texts becomes lists; any other of mixed types becomes text.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {as_utf8(name): _column([row.get(name) for row in rows]) for name in names}
    return pa.table(columns) if columns else pa.table({"": pa.nulls(len(rows))}).select([])


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except _ARROW_ERRORS:
        values = [with_utf8(value) for value in values]
    try:
        return pa.array(values)
    except _ARROW_ERRORS:
        return _lists(values) if any(isinstance(value, list) for value in values) else as_texts(values)


def _lists(values: list[Any]) -> pa.Array:
    """Texts and lists of them, as lists; as text if a list holds anything else. An object is one text, its JSON."""
    if any(isinstance(item, list | dict) for each in values if isinstance(each, list) for item in each):
        return as_texts(values)
    lists = [value if value is None or isinstance(value, list) else [value] for value in values]
    return pa.array([None if each is None else [_text(item) for item in each] for each in lists], pa.list_(pa.string()))


def as_texts(values: Sequence[Any]) -> pa.Array:
    """Any values as texts: texts as they are, null and NaN (which pandas writes for it) as null, others as JSON."""
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else as_utf8(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    try:
        return as_utf8(json.dumps(value, ensure_ascii=False, default=str))
    except (ValueError, TypeError, RecursionError):
        return as_utf8(str(value))


def as_utf8(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which JSON can escape and UTF-8 cannot encode."""
    return _SURROGATE.sub("\ufffd", text)


def with_utf8(value: Any) -> Any:
    """A JSON value with U+FFFD for each lone surrogate in its texts and names."""
    if isinstance(value, str):
        return as_utf8(value)
    if isinstance(value, list):
        return [with_utf8(item) for item in value]
    if isinstance(value, dict):
        return {as_utf8(name): with_utf8(item) for name, item in value.items()}
    return value


def concatenated(tables: Sequence[pa.Table], where: str) -> pa.Table:
    """The rows of several tables; a column of mixed types becomes lists or text, as in `table_of`.

    Raises `OpenAlignError` naming `where` if they cannot be one table.
    """
    names = dict.fromkeys(name for each in tables for name in each.column_names)
    for name in [name for name in names if _mixed(tables, name)]:
        tables = _alike(tables, name)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise OpenAlignError(f"{where}: its files cannot be read as one table ({reason})") from None


def _mixed(tables: Sequence[pa.Table], name: str) -> bool:
    fields = {table.schema.field(name) for table in tables if name in table.column_names}
    try:
        pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")
    except pa.ArrowException:
        return True
    return False


def _alike(tables: Sequence[pa.Table], name: str) -> list[pa.Table]:
    """The tables with a column of one type."""
    kinds = [table.schema.field(name).type for table in tables if name in table.column_names]
    found = list(tables)
    if all(_is_texts(kind) for kind in kinds):
        lists = pa.list_(pa.string())
        return [_changed(table, name, lambda column: _as_lists(column, lists)) for table in found]
    return [_changed(table, name, _as_text_column) for table in found]


def _is_texts(kind: pa.DataType) -> bool:
    inner = kind.value_type if hasattr(kind, "value_type") else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_null(inner))


def _as_lists(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if hasattr(column.type, "value_type"):
        return column.cast(kind)
    values = [None if value is None else [value] for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, kind)])


def _as_text_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except (pa.ArrowException, NotImplementedError):
        return pa.chunked_array([as_texts(_values(column))])


def _values(column: pa.ChunkedArray) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):  # a date that Python cannot hold
        return [_value(value) for value in column]
    return values


def _value(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return str(getattr(value, "value", value))


def _changed(table: pa.Table, name: str, change: Any) -> pa.Table:
    if name not in table.column_names:
        return table
    return table.set_column(table.column_names.index(name), name, change(table[name]))
