"""Tables of rows, and concatenation of tables, that need not have the same columns."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from openalign.errors import OpenAlignError


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """A table of rows that need not have the same fields; a field of mixed types becomes text."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({_as_utf8(name): _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return pa.array([None if value is None else _as_utf8(str(value)) for value in values], pa.string())


def _as_utf8(text: str) -> str:
    """The text without lone surrogates, which JSON can escape and UTF-8 cannot encode."""
    return text.encode(errors="replace").decode()


def concatenated(tables: Sequence[pa.Table], where: str) -> pa.Table:
    """The rows of several tables; a column of mixed types becomes text, as in `table_of`.

    Raises `OpenAlignError` naming `where` if it cannot.
    """
    mixed = [
        name for name in dict.fromkeys(name for each in tables for name in each.column_names) if _mixed(tables, name)
    ]
    for name in mixed:
        try:
            tables = [_with_text(table, name) for table in tables]
        except pa.ArrowException as error:
            raise OpenAlignError(
                f"{where}: column {name!r} has different types in different files ({error}): make them one type"
            ) from None
    return pa.concat_tables(tables, promote_options="permissive")


def _mixed(tables: Sequence[pa.Table], name: str) -> bool:
    fields = {table.schema.field(name) for table in tables if name in table.column_names}
    try:
        pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")
    except pa.ArrowException:
        return True
    return False


def _with_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    return table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
