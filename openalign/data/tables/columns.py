"""The image and text columns of a table, by their usual names or as given."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from openalign.errors import OpenAlignError
from openalign.options import option

IMAGE_NAMES = ("image", "file", "filepath", "file_name", "path", "url")
TEXT_NAMES = ("text", "caption", "title", "alt")


def find_columns(
    names: Sequence[str],
    image_column: str | None = None,
    text_column: str | None = None,
    *,
    need_text: bool = True,
    where: str = "the table",
) -> tuple[str, str | None]:
    """The image and the text column among `names`: as given, else the first with a usual name, in any case.

    The text column is None if none is found and `need_text` is false. Raises `OpenAlignError` naming `where`.
    """
    image = _find(names, image_column, IMAGE_NAMES, "image", where)
    if text_column is None and not need_text and not _usual(names, TEXT_NAMES):
        return image, None
    return image, _find(names, text_column, TEXT_NAMES, "text", where)


def with_named_columns(
    table: pa.Table, where: str, image_column: str | None, text_column: str | None, need_text: bool
) -> pa.Table:
    """The columns `image` and `text` as strings, then the others. Raises `OpenAlignError` naming `where`."""
    names = table.column_names
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise OpenAlignError(f"{where} has two columns called {repeated!r}: rename one")
    image, text = find_columns(names, image_column, text_column, need_text=need_text, where=where)
    columns = {"image": _strings(table, image, where)}
    columns["text"] = pa.nulls(len(table), pa.string()) if text is None else _strings(table, text, where)
    for name in names:
        if name not in (image, text):
            columns.setdefault(name, table[name])
    return pa.table(columns)


def _strings(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    """A column as strings; `alt.en` is the field `en` of a column `alt` of objects."""
    outer, _, inner = (name, "", "") if name in table.column_names else name.partition(".")
    column = table[outer]
    if inner and pa.types.is_struct(column.type) and column.type.get_field_index(inner) >= 0:
        column = pc.struct_field(column, inner)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        named = pa.types.is_struct(kind) and len(kind) > 0
        fields = f": name one of its fields, as {outer}.{kind[0].name}" if named else ""
        raise OpenAlignError(f"{where}: column {outer!r} holds {_type_name(kind)}, not text{fields}")
    return column.cast(pa.string())


def _type_name(kind: pa.DataType) -> str:
    return "objects" if pa.types.is_struct(kind) else "lists" if pa.types.is_nested(kind) else f"{kind} values"


def _find(names: Sequence[str], given: str | None, usual: Sequence[str], role: str, where: str) -> str:
    if given is not None:
        if given in names or given.partition(".")[0] in names:
            return given
        raise OpenAlignError(f"{where} has no column {given!r}; its columns are {', '.join(names)}")
    found = _usual(names, usual)
    if found is None:
        raise OpenAlignError(
            f"{where} has no {role} column ({', '.join(usual)}); its columns are {', '.join(names)}: "
            f"name one with {option(f'{role}_column')}, or the setting {role}_column"
        )
    return found


def _usual(names: Sequence[str], usual: Sequence[str]) -> str | None:
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    return next((by_lower[name] for name in usual if name in by_lower), None)
