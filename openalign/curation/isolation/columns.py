"""The values of a text column, some of which may not be valid UTF-8."""

from typing import Any

import pyarrow as pa

from openalign.curation.isolation.records import one_record


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """The values as Python objects, with a `Problem` for each string that is not valid UTF-8."""
    try:
        values: list[Any] = column.to_pylist()
    except ValueError:
        return [_value(scalar) for scalar in column]
    return values


@one_record
def _value(scalar: pa.Scalar) -> Any:
    return scalar.as_py()
