"""What a column of a published table holds, by its Arrow type: few kinds instead of many types.

The same values are written as string, large_string, string_view or a dictionary of them, by whichever library wrote
the file; importers care only which kind it is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from workzone.core.lazy import require

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = require("pyarrow", "data")


class Kind(StrEnum):
    """What cells are; the values are how messages name them."""

    PICTURE = "a record of bytes and path"
    BYTES = "bytes"
    TEXT = "text"
    NUMBER = "a number"
    TIME = "a time"
    LIST = "a list"
    RECORD = "a record"
    EMPTY = "nothing but null"
    OTHER = "something else"


def kind_of(column: pa.DataType) -> Kind:
    """Return the kind of an Arrow type; a dictionary is what its values are."""
    types = pa.types
    if types.is_dictionary(column):
        return kind_of(column.value_type)
    if types.is_struct(column):
        return Kind.PICTURE if _is_picture(column) else Kind.RECORD
    tests = {
        Kind.EMPTY: (types.is_null,),
        Kind.TEXT: (types.is_string, types.is_large_string, types.is_string_view),
        Kind.BYTES: (
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
            types.is_fixed_size_binary,
        ),
        Kind.NUMBER: (types.is_integer, types.is_floating, types.is_boolean),
        Kind.TIME: (types.is_timestamp, types.is_date),
        Kind.LIST: (types.is_list, types.is_large_list, types.is_fixed_size_list),
    }
    return next(
        (kind for kind, any_of in tests.items() if any(is_it(column) for is_it in any_of)), Kind.OTHER
    )


def _is_picture(column: pa.DataType) -> bool:
    """Whether it is {bytes, path} as `datasets` writes an image, with bytes as such or as base64 text."""
    fields = {field.name: kind_of(field.type) for field in column}
    return fields.keys() == {"bytes", "path"} and fields["bytes"] in {Kind.BYTES, Kind.TEXT}
