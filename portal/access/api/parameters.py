"""Query parameters of an operation, checked strictly: what nobody knows is an error, not something to ignore."""

from __future__ import annotations

from collections.abc import Iterable

from rest_framework.request import Request

from portal.core.errors import InputError


class Parameters:
    """The query parameters of a request, checked as stock does.

    Args:
        known: all that the operation has.

    Raises:
        InputError: ``api.parameter.unknown``, or ``api.parameter.empty`` for one that stands there without a value.
    """

    def __init__(self, request: Request, known: Iterable[str] = ()) -> None:
        self._values = request._request.GET
        allowed = frozenset(known)
        for name, values in self._values.lists():
            if name not in allowed:
                raise InputError(
                    f"Unknown query parameter {name!r}.",
                    code="api.parameter.unknown",
                    remedy=f"This path takes {', '.join(sorted(allowed)) or 'none'}.",
                )
            if values == [""]:
                raise InputError(
                    f"Empty value found for query parameter {name!r}.",
                    code="api.parameter.empty",
                    remedy="Give it a value, or leave it out.",
                )

    def many(self, name: str) -> list[str]:
        """All values of a parameter that may be repeated."""
        return self._values.getlist(name)

    def one(self, name: str) -> str | None:
        """The value of a parameter that may stand there once."""
        values = self._values.getlist(name)
        if len(values) > 1:
            raise InputError(
                f"Query parameter {name!r} stands there {len(values)} times.",
                code="api.parameter.repeated",
                remedy="Send it once.",
            )
        if values and "\0" in values[0]:
            raise InputError(
                f"Query parameter {name!r} has a NUL character in it.",
                code="api.parameter.nul",
                remedy="Leave it out.",
            )
        return values[0] if values else None

    def number(self, name: str, *, least: int = 0) -> int | None:
        """A whole number, ``least`` or more."""
        text = self.one(name)
        return None if text is None else whole_number(text, f"query parameter {name!r}", least=least)


_LARGEST = 10**9


def whole_number(value: object, place: str, *, least: int) -> int:
    """``value`` as a number; what is larger than any list counts as that.

    Raises:
        InputError: ``api.number``.
    """
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 30 or int(text) < least:
        raise InputError(
            f"The {place} has to be a whole number of at least {least}, not {str(value)[:60]!r}.",
            code="api.number",
        )
    return min(int(text), _LARGEST)
