"""What can be wrong with a YAML text, said so that the author can repair the line."""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file.

    Args:
        line: from 1, counted in the whole file.
        column: from 1, in characters.
        source_line: that line as written, without its line break.
        end_column: first column after the node when it ends on the same line, else 0.
    """

    line: int
    column: int
    source_line: str
    end_column: int = 0


class YamlError(InputError):
    """A document that cannot be read.

    ``code`` is one of ``yaml.syntax``, ``yaml.duplicate-key``, ``yaml.undefined-alias``, ``yaml.circular-alias``,
    ``yaml.alias-expansion``, ``yaml.too-deep``, ``yaml.too-many-nodes``, ``yaml.too-large``, ``yaml.encoding``,
    ``yaml.control-character``.

    Args:
        message: what is wrong, without the place.
        place: where, when known.
        corrected_line: the source line as it could read, when that is plain.
    """

    default_code = "yaml.syntax"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        remedy: str = "",
        place: Place | None = None,
        corrected_line: str = "",
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.place = place
        self.corrected_line = corrected_line

    def __str__(self) -> str:
        if self.place is None:
            return self.message
        return f"{self.message} (line {self.place.line}, column {self.place.column})"


# What the parser says (a part of it), what to do about it. First match wins.
_REMEDIES: tuple[tuple[str, str], ...] = (
    ("a tab", "Indent with spaces: YAML does not allow tabs there."),
    (
        "mapping values are not allowed",
        "Repair the indentation, or put a value with a colon and a space in quotes.",
    ),
    ("cannot begin a value", "Put the value in quotes: it begins with a character that YAML reserves."),
    ("quoted scalar", "Close the quote."),
    ("did not find expected ',' or", "Close the bracket or brace, or put a comma between the items."),
    ("did not find expected '-' indicator", "Give all items of the list the same indentation."),
    (
        "did not find expected key",
        "Give all keys of the mapping the same indentation, and quote values that hold quotes.",
    ),
    (
        "could not find expected ':'",
        "Write the key as key: value, or indent the line as part of the value above.",
    ),
    ("block sequence entries are not allowed", "Begin the list on its own line."),
    ("unknown escape character", "Double the backslash, or use single quotes."),
)


def remedy_for(problem: str) -> str:
    """Advice for a parser message; a general one when none fits."""
    for part, advice in _REMEDIES:
        if part in problem:
            return advice
    return "Repair the YAML at this place; a YAML checker in the editor shows it while typing."


def correct_line(problem: str, line: str, before: str) -> str:
    """The line without its mistake where only one repair is likely, else an empty text.

    Args:
        problem: the parser's message.
        line: the line it complains about.
        before: the line before that.
    """
    body = line.lstrip(" \t")
    indent = line[: len(line) - len(body)]
    if "\t" in indent:
        return indent.expandtabs(2) + body
    key, colon, value = body.partition(": ")
    value = value.strip()
    if not colon or not value or '"' in value:
        return ""
    if "mapping values are not allowed" in problem:
        if ": " in value:
            return f'{indent}{key}: "{value}"'
        earlier = before.lstrip(" ")
        # Two full key: value lines, the second one deeper than the first: it slipped to the right.
        if len(before) - len(earlier) < len(indent) and earlier.partition(": ")[2].strip():
            return before[: len(before) - len(earlier)] + body
    if "cannot begin a value" in problem and value[0] in "@`%":
        return f'{indent}{key}: "{value}"'
    return ""
