"""Rows as PostgreSQL's `COPY … (FORMAT BINARY)` takes them, made column by column and never cell by cell.

A row is the number of its fields, then each field: the length of its value in bytes, then the value; a blank
is the length -1 alone. All integers and floats have their highest byte first.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

#: What stands before the first row and behind the last one.
HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TRAILER = b"\xff\xff"

_BLANK = b"\xff\xff\xff\xff"
_EPOCH_MS = 946_684_800_000  # PostgreSQL counts from 2000, Arrow from 1970


def rows(columns: "Sequence[pa.Array[Any]]") -> memoryview:
    """The rows of columns of equal length, in the types of `schemas.valid_file.ARROW_TYPES` or 64-bit integers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = [part for column in columns for part in _fields(column)]
    count = pa.scalar(len(columns).to_bytes(2, "big"), pa.binary())
    joined = pc.binary_join_element_wise(count, *fields, b"")
    _, offsets, content = joined.buffers()
    first, last = np.frombuffer(offsets, np.int32)[[joined.offset, joined.offset + len(joined)]]
    return memoryview(content)[first:last]


def _fields(column: "pa.Array[Any]") -> "list[pa.Array[Any]]":
    """A column's lengths and values, as binary arrays that stand side by side."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        lengths = pc.binary_length(column).fill_null(-1).to_numpy().astype(">i4")
        return [_fixed(lengths), column.cast(pa.binary()).fill_null(b"")]
    values = _numbers(column)
    pairs = np.empty(len(column), [("length", ">i4"), ("value", values.dtype)])
    pairs["length"], pairs["value"] = values.dtype.itemsize, values
    fields = _fixed(pairs)
    if column.null_count:
        fields = pc.if_else(column.is_null(), pa.scalar(_BLANK, pa.binary()), fields)
    return [fields]


def _numbers(column: "pa.Array[Any]") -> npt.NDArray[Any]:
    """The values of a column whose cells have all one width; anything where blank."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        return np.asarray(column.fill_null(False), np.uint8)
    if pa.types.is_timestamp(column.type):
        milliseconds = np.asarray(column.cast(pa.int64()).fill_null(_EPOCH_MS))
        return ((milliseconds - _EPOCH_MS) * 1000).astype(">i8")
    values = np.asarray(column.fill_null(0))
    return values.astype(values.dtype.newbyteorder(">"))


def _fixed(values: npt.NDArray[Any]) -> "pa.Array[Any]":
    """A binary array of values of one width."""
    import pyarrow as pa

    width = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)])
