"""Arrow arrays of Python's texts and NumPy's numbers, and back, without pandas.

pyarrow imports pandas where it makes an array of Python objects (`pa.array`) or hands one to NumPy, in case these are
pandas': half a second, which is most of the time that a small change of a large index takes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_LONGEST = 2**31
"""Bytes of all texts in one array of `pa.string()`."""


def strings(values: Sequence[str | None]) -> pa.Array | pa.ChunkedArray:
    """Texts as `pa.array(values, pa.string())` gives them.

    Raises:
        UnicodeEncodeError: a text has half a surrogate pair.
    """
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=ends[1:])
    if ends[-1] >= _LONGEST:
        return pa.array(values, pa.string())
    filled = None
    if None in values:
        filled = _buffer(np.packbits([value is not None for value in values], bitorder="little"))
    buffers = [filled, _buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def numbers(values_N: NDArray[Any]) -> pa.Array:
    """Numbers or truth values (N,), whose type has the same name in Arrow."""
    bytes_ = np.packbits(values_N, bitorder="little") if values_N.dtype == np.bool_ else values_N
    kind = pa.type_for_alias(values_N.dtype.name)
    return pa.Array.from_buffers(kind, len(values_N), [None, _buffer(bytes_)])


def from_numbers(column: pa.ChunkedArray, kind: type[np.generic]) -> NDArray[Any]:
    """What `numbers` made of values of this type (N,), also after Parquet; there are no nulls."""
    parts = [_part(chunk, np.dtype(kind)) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _part(chunk: pa.Array, kind: np.dtype[Any]) -> NDArray[Any]:
    data = chunk.buffers()[1]
    if kind == np.bool_:
        bits = np.unpackbits(np.frombuffer(data or b"", np.uint8), bitorder="little")
        return bits[chunk.offset : chunk.offset + len(chunk)].astype(np.bool_)
    return np.frombuffer(data or b"", kind)[chunk.offset : chunk.offset + len(chunk)]


def _buffer(values: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(values))
