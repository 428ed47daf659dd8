"""Arrow types that hold the same values in other forms, made the plain ones: views, dictionaries, fixed sizes."""

from collections.abc import Callable

import pyarrow as pa

from openalign.data.tables.combine import as_texts


def with_plain_types(table: pa.Table) -> pa.Table:
    """The table without views, dictionaries, extension types and binary values of fixed size, nested ones included."""
    for at, field in enumerate(table.schema):
        kind = plain(field.type)
        if not kind.equals(field.type):
            table = table.set_column(at, pa.field(field.name, kind), _cast(table.column(at), kind))
    return table


def plain(kind: pa.DataType) -> pa.DataType:
    """The plain type of the same values."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    return with_leaves(kind, plain)


def with_leaves(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """A nested type with the types inside changed; any other type as it is."""
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, change(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.list_(pa.struct([("key", change(kind.key_type)), ("value", change(kind.item_type))]))
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(change(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(change(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(change(kind.value_type))
    return kind


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column in its plain type; as Python writes it, or as text, where pyarrow has no cast."""
    try:
        while isinstance(column.type, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
        return column.cast(kind)
    except (pa.ArrowException, NotImplementedError):
        values = column.to_pylist()
    try:
        return pa.chunked_array([pa.array(values, kind)])
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return pa.chunked_array([as_texts(values)])
