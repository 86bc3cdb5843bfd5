"""Text with line numbers and colours: raw entities, definitions, descriptor lines."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import token as t
from pygments.lexer import Lexer
from pygments.lexers.data import JsonLexer, YamlLexer
from pygments.lexers.dsls import ProtoBufLexer
from pygments.lexers.graphql import GraphQLLexer

#: Colouring a long text costs more than reading it gains: beyond this many characters it stays plain.
COLOURED_CHARS = 20_000
#: Lines one page shows; the rest is behind the link to the whole file.
SHOWN_LINES = 1_500

_LEXERS: dict[str, type[Lexer]] = {
    "yaml": YamlLexer,
    "json": JsonLexer,
    "graphql": GraphQLLexer,
    "protobuf": ProtoBufLexer,
}
# The four inks of the design: key, string, number, dim (components.css).
_INKS = (
    (t.Comment, "c"),
    (t.Number, "n"),
    (t.Keyword.Constant, "n"),
    (t.Name.Tag, "k"),
    (t.Keyword, "k"),
    (t.Name.Attribute, "k"),
    (t.String, "s"),
    (t.Literal, "s"),
)


@dataclass(frozen=True, slots=True)
class SourceText:
    """Lines that are safe to put on a page.

    Attributes:
        lines: HTML of each line, escaped, without line end.
        total: lines of the whole text; more than ``len(lines)`` where it was cut.
    """

    lines: list[SafeString]
    total: int

    @property
    def is_cut(self) -> bool:
        return self.total > len(self.lines)


def _ink(kind: t._TokenType) -> str:
    return next((css for family, css in _INKS if kind in family), "")


def language_of(text: str, hint: str = "") -> str:
    """The language to colour ``text`` in: the hint where it is known, else JSON or YAML by its first character."""
    if hint in ("graphql", "protobuf"):
        return hint
    return "json" if text.lstrip()[:1] in ("{", "[") else "yaml"


def source_text(text: str, language: str, *, limit: int = SHOWN_LINES) -> SourceText:
    """Colours and cuts ``text`` into lines.

    Args:
        language: yaml, json, graphql or protobuf; anything else stays plain.
        limit: lines to keep.
    """
    all_lines = text.split("\n")
    if all_lines and all_lines[-1] == "":
        all_lines.pop()
    kept = all_lines[:limit]
    lexer = _LEXERS.get(language)
    shown = "\n".join(kept)
    if lexer is None or len(shown) > COLOURED_CHARS:
        return SourceText([_safe(escape(line)) for line in kept], len(all_lines))
    lines: list[list[str]] = [[]]
    for kind, value in lexer(stripnl=False, ensurenl=False).get_tokens(shown):
        ink = _ink(kind)
        for number, piece in enumerate(value.split("\n")):
            if number:
                lines.append([])
            if piece:
                lines[-1].append(f'<span class="{ink}">{escape(piece)}</span>' if ink else escape(piece))
    return SourceText([_safe("".join(line)) for line in lines], len(all_lines))


def _safe(html: str) -> SafeString:
    return mark_safe(html)  # noqa: S308  (every piece went through escape above)
