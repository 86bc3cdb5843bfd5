"""From a compiled expression to its tree.

The engine hands a checked expression out as a serialized ``cel.expr.CheckedExpr`` inside a ``google.protobuf.Any``
(https://github.com/google/cel-spec, ``proto/cel/expr/checked.proto`` and ``syntax.proto``). Only a few fields of it are
read, so the wire format is read here instead of carrying generated classes.
"""

from __future__ import annotations

import struct
from collections import defaultdict

from portal.expressions.tree import Call, Constant, Field, ListOf, Name, Node, Other, Value

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
# Fields of google.protobuf.Any and CheckedExpr.
_ANY_VALUE, _CHECKED_EXPR = 2, 4
# Fields of Expr: which of them there is says what it is.
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _COMPREHENSION = 3, 4, 5, 6, 7, 8, 9

Fields = dict[int, list[int | bytes]]


def read_tree(serialized: bytes) -> Node:
    """The tree of a serialized checked expression.

    Raises:
        ValueError: it is none.
    """
    return _expression(_bytes(_fields(_bytes(_fields(serialized), _ANY_VALUE)), _CHECKED_EXPR))


def _expression(data: bytes) -> Node:
    found = _fields(data)
    if _CONST in found:
        return Constant(_constant(_bytes(found, _CONST)))
    if _IDENT in found:
        return Name(_text(_fields(_bytes(found, _IDENT)), 1))
    if _SELECT in found:
        select = _fields(_bytes(found, _SELECT))
        return Field(_expression(_bytes(select, 1)), _text(select, 2), bool(select.get(3, [0])[-1]))
    if _CALL in found:
        call = _fields(_bytes(found, _CALL))
        receiver = [_bytes(call, 1)] if 1 in call else []
        arguments = [each for each in call.get(3, []) if isinstance(each, bytes)]
        return Call(_text(call, 2), tuple(map(_expression, [*receiver, *arguments])))
    if _LIST in found:
        items = _fields(_bytes(found, _LIST)).get(1, [])
        return ListOf(tuple(_expression(each) for each in items if isinstance(each, bytes)))
    if _STRUCT in found:
        return Other("a map or message")
    if _COMPREHENSION in found:
        loop = _fields(_bytes(found, _COMPREHENSION))
        parts = [_expression(_bytes(loop, number)) for number in (2, 4, 5, 6, 7) if number in loop]
        return Other("a macro over a list", tuple(parts))
    raise ValueError("An expression of a kind that is not known.")


def _constant(data: bytes) -> Value:
    """Of ``Constant``: null 1, bool 2, int64 3, uint64 4, double 5, string 6, bytes 7."""
    found = _fields(data)
    if 2 in found:
        return bool(found[2][-1])
    if 3 in found:
        number = _number(found, 3)
        return number - 2**64 if number >= 2**63 else number
    if 4 in found:
        return _number(found, 4)
    if 5 in found:
        (real,) = struct.unpack("<d", _bytes(found, 5))
        return float(real)
    if 6 in found:
        return _text(found, 6)
    return _bytes(found, 7) if 7 in found else None


def _fields(data: bytes) -> Fields:
    """Values by field number, in order: whole numbers, and bytes for everything of a length."""
    found: Fields = defaultdict(list)
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            found[number].append(value)
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"Wire type {kind} is not known.")
        if at + length > len(data):
            raise ValueError("It ends in the middle of a field.")
        found[number].append(data[at : at + length])
        at += length
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("It ends in the middle of a number.")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _bytes(found: Fields, number: int) -> bytes:
    value = found.get(number, [b""])[-1]
    if not isinstance(value, bytes):
        raise ValueError(f"Field {number} has another type.")
    return value


def _number(found: Fields, number: int) -> int:
    value = found[number][-1]
    if not isinstance(value, int):
        raise ValueError(f"Field {number} has another type.")
    return value


def _text(found: Fields, number: int) -> str:
    return _bytes(found, number).decode()
