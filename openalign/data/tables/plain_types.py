"""Arrow types that hold the same values in other forms, made the plain ones: views, dictionaries, fixed sizes."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.images.formats import HEAD_BYTES, format_of
from openalign.data.tables.combine import as_texts

_MOST_KEYS = 64
"""Distinct keys of a map that are fields."""


def with_plain_types(table: pa.Table) -> pa.Table:
    """The table without views, dictionaries, extension types and binary values of fixed size, nested ones included.

    Maps from a few texts are objects with these as fields, and images that are lists of numbers are bytes.
    """
    for at, field in enumerate(table.schema):
        if (changed := _with_fields(table.column(at))) is not None:
            table = table.set_column(at, field.name, changed)
        kind = plain(table.schema.types[at])
        if not kind.equals(field.type):
            table = table.set_column(at, pa.field(field.name, kind), _cast(table.column(at), kind))
        if (images := _written_as_numbers(table.column(at))) is not None:
            table = table.set_column(at, field.name, images)
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


def _with_fields(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A map from texts, of which there are few, as objects with a field for each; None if it is something else."""
    if not pa.types.is_map(column.type):
        return None
    maps = column.combine_chunks()
    keys = pc.unique(maps.keys)
    if not (pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type)) or len(keys) > _MOST_KEYS:
        return None
    names: list[str] = keys.to_pylist()
    values = [pc.map_lookup(maps, pa.scalar(name, keys.type), "first") for name in names]
    return pa.chunked_array([pa.StructArray.from_arrays(values, names, mask=maps.is_null())]) if names else None


def _written_as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Images of which each byte is a number in a list, alone or as `bytes` of an object; None if there are none."""
    if pa.types.is_struct(column.type) and (place := column.type.get_field_index("bytes")) >= 0:
        objects = column.combine_chunks()
        images = _written_as_numbers(pa.chunked_array([pc.struct_field(objects, place)]))
        if images is None:
            return None
        values = [images.chunk(0) if at == place else pc.struct_field(objects, at) for at in range(len(column.type))]
        names = [field.name for field in column.type]
        return pa.chunked_array([pa.StructArray.from_arrays(values, names, mask=objects.is_null())])
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if not is_list or not pa.types.is_integer(column.type.value_type):
        return None
    first = next((value for chunk in column.chunks for value in chunk.drop_null()[:1]), None)
    head = [] if first is None else first.as_py()[:HEAD_BYTES]
    if not all(number is not None and 0 <= number < 256 for number in head) or format_of(bytes(head)) is None:
        return None
    lists = column.combine_chunks()
    try:
        numbers_N = pc.list_flatten(lists).cast(pa.uint8()).to_numpy()
    except (pa.ArrowException, ValueError):
        return None
    ends = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64))])
    is_there = np.packbits(lists.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
    buffers = [pa.py_buffer(each) for each in (is_there, ends.astype(np.int64), np.ascontiguousarray(numbers_N))]
    return pa.chunked_array([pa.Array.from_buffers(pa.large_binary(), len(lists), buffers)])
