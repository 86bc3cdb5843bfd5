"""Text to nodes with marks: libyaml first, ruamel.yaml where libyaml refuses."""

from __future__ import annotations

import io
import re
from typing import Any

import ruamel.yaml
import yaml
from ruamel.yaml.error import YAMLError as RuamelError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from portal.core.yaml.errors import Place, YamlError, correct_line, remedy_for

# Characters that are ordinary in YAML 1.2 and that libyaml takes for line breaks or refuses.
_AWKWARD = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# More flow brackets, or a longer run of what block nesting is made of, than an ordinary file has: count before
# composing, because libyaml's composer recurses on the C stack.
_MANY_BRACKETS = 60
_DEEP_INDENT = re.compile(r"\n[ \t?:\-]{60}")
_ORDINARY_ASCII = bytes([9, 10, 13, *range(0x20, 0x7F)])
_TAB_AFTER_INDICATOR = re.compile(r"[ ]*(?:[-?][ ]+)*[-?]\t+[^\t\n]*")
_MOST_TABS = 50
_LONE_RETURN = re.compile(r"\r(?!\n)")
_OPENED = ("while scanning a quoted scalar", "while parsing a flow sequence", "while parsing a flow mapping")


class Composer(yaml.CSafeLoader):
    """libyaml's composer without tag resolution: a node without an explicit tag has the tag None."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> None:
        return None

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        return None

    def ascend_resolver(self) -> None:
        return None


def protect(text: str) -> tuple[str, dict[int, int]]:
    """Puts private characters in the place of those that libyaml would misread.

    Returns:
        the text, of the same length, and the table that turns strings back (empty: nothing was replaced).
    """
    lone = "\r" in text and _LONE_RETURN.search(text) is not None
    if not lone and text.isascii() and not text.encode().translate(None, _ORDINARY_ASCII):
        return text, {}  # the usual text, found out fifty times faster than by the pattern
    found = sorted(set(_AWKWARD.findall(text)))
    free = (code for code in range(0xE000, 0xF900) if chr(code) not in text)
    away = {ord(char): next(free) for char in found}
    back = {private: char for char, private in away.items()}
    if away:
        text = text.translate(away)
    if lone:
        private = next(free)
        back[private] = ord("\r")
        text = _LONE_RETURN.sub(chr(private), text)
    return text, back


class Patience:
    """How many characters of one file the second reader may still look at: it is a hundred times slower."""

    def __init__(self, characters: int = 300_000) -> None:
        self.left = characters

    def has(self, text: str) -> bool:
        """Whether there is enough for a text, which is then used up."""
        if len(text) > self.left:
            return False
        self.left -= len(text)
        return True


def compose(text: str, *, max_depth: int, max_nodes: int, patience: Patience) -> Node | None:
    """The node tree of one document.

    Raises:
        YamlError: both readers refuse the text, or it is deeper or larger than allowed. Lines count from the
            beginning of this text.
    """
    if (
        text.count("[") + text.count("{") > _MANY_BRACKETS
        or len(text) > max_nodes
        or _DEEP_INDENT.search(f"\n{text}") is not None
    ):
        _measure(text, max_depth, max_nodes)
    tabs = 0
    while True:
        try:
            return Composer(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            refusal = _from_libyaml(error, text)
            at = error.problem_mark.index if error.problem_mark is not None else len(text)
        # YAML 1.2 allows a tab between "-" and the item; libyaml does not. Here it is between tokens, not in a text.
        line = source_line(text, text.count("\n", 0, at))
        tabs += 1
        if text[at : at + 1] != "\t" or tabs > _MOST_TABS or not _TAB_AFTER_INDICATOR.fullmatch(line):
            break
        if not patience.has(text):
            break
        text = f"{text[:at]} {text[at + 1 :]}"
    if refusal.code != "yaml.syntax" or not patience.has(text):
        raise refusal
    try:
        return _compose_again(text)
    except (RuamelError, RecursionError, ValueError):
        raise refusal from None


def _measure(text: str, max_depth: int, max_nodes: int) -> None:
    """Counts levels and nodes without building anything; stops at the first limit."""
    depth = nodes = 0
    parser = Composer(text)
    try:
        while (event := parser.get_event()) is not None:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                nodes += 1
                if depth > max_depth:
                    raise too_deep(max_depth, _place(event.start_mark, text))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.NodeEvent):
                nodes += 1
            if nodes > max_nodes:
                raise too_many_nodes(max_nodes, _place(event.start_mark, text))
    except yaml.MarkedYAMLError:
        return  # composing will say it, and cannot get deeper than this


def too_deep(limit: int, place: Place | None) -> YamlError:
    return YamlError(
        f"nested deeper than {limit} levels",
        code="yaml.too-deep",
        remedy="Flatten the structure, or keep it in a file of its own and point to it.",
        place=place,
    )


def too_many_nodes(limit: int, place: Place | None) -> YamlError:
    return YamlError(
        f"more than {limit} values in one document",
        code="yaml.too-many-nodes",
        remedy="Split the document.",
        place=place,
    )


def source_line(text: str, line: int) -> str:
    """A line of the text by its number from 0, without its line break; empty beyond the end."""
    position = 0
    for _ in range(line):
        position = text.find("\n", position) + 1
        if position == 0:
            return ""
    end = text.find("\n", position)
    return text[position : len(text) if end < 0 else end].rstrip("\r")


def _place(mark: Any, text: str) -> Place | None:
    if mark is None:
        return None
    return Place(mark.line + 1, mark.column + 1, source_line(text, mark.line))


def _from_libyaml(error: yaml.MarkedYAMLError, text: str) -> YamlError:
    problem = error.problem or "cannot be read"
    mark = error.problem_mark or error.context_mark
    if "cannot start any token" in problem and mark is not None:
        char = text[mark.index : mark.index + 1]
        message = "a tab where only spaces may stand" if char == "\t" else f"{char} cannot begin a value"
    else:
        message = f"{error.context}: {problem}" if error.context else problem
    if error.context in _OPENED and error.context_mark is not None:
        mark = (
            error.context_mark
        )  # where the quote or bracket was opened tells more than where its end was missed
    place = _place(mark, text)
    if "undefined alias" in message:
        return YamlError(
            message,
            code="yaml.undefined-alias",
            remedy="Set the anchor (&name) before its alias (*name).",
            place=place,
        )
    corrected = ""
    if place is not None:
        before = source_line(text, place.line - 2) if place.line > 1 else ""
        corrected = correct_line(message, place.source_line, before)
    return YamlError(message, remedy=remedy_for(message), place=place, corrected_line=corrected)


def _compose_again(text: str) -> Node | None:
    """The same tree from ruamel.yaml's events (a YAML 1.2 parser)."""
    reader = ruamel.yaml.YAML(typ="safe", pure=True)
    anchors: dict[str, Node] = {}
    root: Node | None = None
    open_nodes: list[Node] = []
    for event in reader.parse(io.StringIO(text)):
        node: Node
        name = type(event).__name__
        if name == "AliasEvent":
            if event.anchor not in anchors:
                raise ValueError("undefined alias")
            node = anchors[event.anchor]
        elif name == "ScalarEvent":
            node = ScalarNode(_tag(event), event.value, event.start_mark, event.end_mark, style=event.style)
        elif name == "SequenceStartEvent":
            node = SequenceNode(
                _tag(event), [], event.start_mark, event.end_mark, flow_style=event.flow_style
            )
        elif name == "MappingStartEvent":
            node = MappingNode(_tag(event), [], event.start_mark, event.end_mark, flow_style=event.flow_style)
        else:
            if name in ("SequenceEndEvent", "MappingEndEvent"):
                closed = open_nodes.pop()
                closed.end_mark = event.end_mark
                if isinstance(closed, MappingNode):
                    closed.value = list(zip(closed.value[::2], closed.value[1::2], strict=True))
            continue
        if name != "AliasEvent" and event.anchor:
            anchors[event.anchor] = node
        if open_nodes:
            open_nodes[-1].value.append(node)
        else:
            root = node
        if name in ("SequenceStartEvent", "MappingStartEvent"):
            open_nodes.append(node)
    return root


def _tag(event: Any) -> Any:
    tag = event.tag
    return None if tag is None else str(tag)
