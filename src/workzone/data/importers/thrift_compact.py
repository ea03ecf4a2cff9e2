"""One struct in Thrift's compact protocol, read from bytes: field number → value.

By github.com/apache/thrift, doc/specs/thrift-compact-protocol.md. Knows no schema: numbers, booleans, bytes, structs
and lists come as what they are.
"""

from __future__ import annotations

from typing import Any

from workzone.data.importers.byte_streams import Unsupported

_MAX_DEPTH = 8
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


def read_struct(data: bytes) -> tuple[dict[int, Any], int]:
    """Return the fields of the struct that `data` begins with, and how many bytes it took.

    Raises:
        Unsupported: It is none, or is longer than `data`.
    """
    try:
        return _struct(data, 0, _MAX_DEPTH)
    except IndexError as error:
        raise Unsupported("a header that does not end") from error


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if not depth:
        raise Unsupported("a header of this depth")
    fields: dict[int, Any] = {}
    number = 0
    while True:
        kind, step = data[at] & 0x0F, data[at] >> 4
        at += 1
        if kind == _STOP:
            return fields, at
        if step:
            number += step
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _value(data, at, kind, depth)


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _INTEGERS:
        return _zigzag(data, at)
    if kind == _BINARY:
        length, at = _varint(data, at)
        if at + length > len(data):
            raise IndexError
        return data[at : at + length], at + length
    if kind == _STRUCT:
        return _struct(data, at, depth - 1)
    if kind in (_LIST, _SET):
        return _list(data, at, depth)
    if kind in (_BYTE, _DOUBLE):
        size = 1 if kind == _BYTE else 8
        return data[at : at + size], at + size
    raise Unsupported(f"a field of kind {kind}")


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    kind, count = data[at] & 0x0F, data[at] >> 4
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    values = []
    for _ in range(min(count, len(data))):
        if kind in (_TRUE, _FALSE):
            value, at = data[at] == _TRUE, at + 1
        else:
            value, at = _value(data, at, kind, depth - 1)
        values.append(value)
    return values, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise Unsupported("a number of this length")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at
