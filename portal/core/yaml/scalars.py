"""Plain text to JSON value: the YAML 1.2 core schema and, for documents that ask for it, YAML 1.1.

Numbers are those that JavaScript keeps, because the clients of this data do: whole numbers beyond 2**53 are rounded
to a double, ``1.0`` is ``1``, and ``.inf`` and ``.nan``, which JSON cannot hold, become null.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

_SAFE_INTEGER = 2**53
_TAG = "tag:yaml.org,2002:"

CORE_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
OLD_WORDS: dict[str, bool | None] = {
    **CORE_WORDS,
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
NUMBER_START = frozenset("0123456789+-.")

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_OLD_BINARY = re.compile(r"[-+]?0b[01_]+")
_OLD_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_OLD_HEX = re.compile(r"[-+]?0x[0-9a-fA-F_]+")
_OLD_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*")
_OLD_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*)?(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?")
_OLD_SEXAGESIMAL = re.compile(r"([-+]?)([0-9][0-9_]*(?::[0-5]?[0-9])+)(\.[0-9_]*)?")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?"
    r"(?:[ \t]*(Z|[-+][012]?[0-9](?::[0-9]{2})?))?)?"
)


def js_number(number: int | float) -> int | float | None:
    """The number as JavaScript and JSON keep it; None for what JSON has no word for."""
    if isinstance(number, int):
        if -_SAFE_INTEGER <= number <= _SAFE_INTEGER:
            return number
        try:
            number = float(number)
        except OverflowError:
            return None
    if not math.isfinite(number):
        return None
    if not number.is_integer() or not -(2**63) <= number < 2**64:  # JSON libraries have no wider integers
        return number
    # Beyond 2**53 JavaScript writes the shortest digits and then zeros.
    return int(number) if abs(number) <= _SAFE_INTEGER else int(Decimal(repr(number)))


def js_string(value: Any) -> str:
    """A scalar as JavaScript's ``String()`` writes it; null is the empty text (as in a mapping key)."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    return _js_float_text(value)


def _js_float_text(number: float) -> str:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    if number == 0:
        return "0"
    sign, digits, _ = Decimal(repr(number)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    point = (
        Decimal(repr(number)).adjusted() + 1
    )  # position of the decimal point, counted from the first digit
    if 0 < point <= 21:
        text = text.ljust(point, "0") if len(text) <= point else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
        text = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"-{text}" if sign else text


def _integer(text: str) -> int | float | None:
    # Seventeen digits and a sign fit an int quickly; longer ones are doubles in JavaScript anyway.
    return js_number(int(text)) if len(text) <= 18 else js_number(float(text))


def core_scalar(text: str) -> Any:
    """A plain scalar under the YAML 1.2 core schema."""
    if text in CORE_WORDS:
        return CORE_WORDS[text]
    if text[0] not in NUMBER_START:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return js_number(float(text))
    if _OCTAL.fullmatch(text):
        return _based(text[2:], 8)
    if _HEX.fullmatch(text):
        return _based(text[2:], 16)
    return None if _NOT_FINITE.fullmatch(text) else text


def _based(digits: str, base: int) -> int | float | None:
    return js_number(int(digits, base)) if len(digits) <= 400 else None


def old_scalar(text: str) -> Any:
    """A plain scalar under YAML 1.1: ``yes``, ``0777``, ``1_000``, ``1:30`` and dates mean what they meant then."""
    if text in OLD_WORDS:
        return OLD_WORDS[text]
    if text[0] not in NUMBER_START:
        return text
    digits = text.replace("_", "")
    sign, bare = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    for pattern, prefix, base in ((_OLD_BINARY, 2, 2), (_OLD_OCTAL, 1, 8), (_OLD_HEX, 2, 16)):
        if pattern.fullmatch(text) and bare[prefix:]:
            value = _based(bare[prefix:], base)
            return None if value is None else js_number(sign * value)
    if _OLD_INTEGER.fullmatch(text):
        return _integer(digits)
    if _OLD_FLOAT.fullmatch(text) and any(c.isdigit() for c in digits):
        return js_number(float(digits))
    if match := _OLD_SEXAGESIMAL.fullmatch(text):
        total = 0.0
        for part in match[2].replace("_", "").split(":"):
            total = total * 60 + int(part)
        total += float(f"0{match[3].replace('_', '')}0") if match[3] else 0
        return js_number(-total if match[1] == "-" else total)
    if _NOT_FINITE.fullmatch(text):
        return None
    return timestamp(text) or text


def timestamp(text: str) -> str | None:
    """A YAML timestamp as the ISO text that JavaScript writes for it (UTC, milliseconds); None if it is none."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = timedelta()
    if zone and zone != "Z":
        hours, _, minutes = zone[1:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int(float(fraction or 0) * 1000) * 1000,
            tzinfo=timezone(offset),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _binary(text: str) -> Any:
    # What JavaScript's JSON writes for a byte buffer, so that a text field refuses it in the same way.
    try:
        data = base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except binascii.Error:
        return text
    return {"type": "Buffer", "data": list(data)}


def tagged_scalar(tag: str, text: str, plain: Callable[[str], Any]) -> tuple[Any, bool]:
    """A scalar with an explicit tag.

    Args:
        tag: full tag, e.g. ``tag:yaml.org,2002:int`` or ``!secret``.
        plain: the schema of the document (:func:`core_scalar` or :func:`old_scalar`).

    Returns:
        the value, and whether the tag meant something; an unknown tag, or one that the text does not fit, keeps the
        text.
    """
    if tag in ("!", f"{_TAG}str"):
        return text, True
    wanted: dict[str, type | tuple[type, ...]] = {
        f"{_TAG}int": int,
        f"{_TAG}float": (int, float),
        f"{_TAG}bool": bool,
        f"{_TAG}null": type(None),
    }
    if tag in wanted:
        value = plain(text)
        fits = isinstance(value, wanted[tag]) and (isinstance(value, bool) == (tag == f"{_TAG}bool"))
        if tag == f"{_TAG}float":
            fits = fits and not _INTEGER.fullmatch(text)
        return (value, True) if fits else (text, False)
    if tag == f"{_TAG}binary":
        return _binary(text), True
    if tag == f"{_TAG}timestamp":
        value = timestamp(text)
        return (text, False) if value is None else (value, True)
    return text, False
