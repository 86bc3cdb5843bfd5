"""Bytes to documents.

The reader follows YAML 1.2 core as the ``yaml`` package of npm does, which is what Backstage reads its files with:
``yes``, ``on`` and dates are texts, ``010`` is ten, merge keys (``<<``) are ordinary keys, a key given twice is an
error, an unknown tag is only a warning. Marks are not kept: :meth:`Document.locate` composes the document again,
which happens for a document with a problem only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode

from portal.core.yaml.compose import Patience, compose, protect, source_line, too_deep, too_many_nodes
from portal.core.yaml.errors import Place, YamlError
from portal.core.yaml.scalars import (
    CORE_WORDS,
    NUMBER_START,
    OLD_WORDS,
    core_scalar,
    js_string,
    old_scalar,
    tagged_scalar,
)
from portal.core.yaml.split import Chunk, split_documents

_UNDECODED = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may hold.

    Args:
        max_bytes: of the whole file.
        max_nodes: values (scalars and collections) of one document, aliases expanded.
        max_alias_nodes: values of one document that come from aliases.
        max_depth: levels of one document, aliases expanded.
    """

    max_bytes: int = 10_000_000
    max_nodes: int = 100_000
    max_alias_nodes: int = 10_000
    max_depth: int = 100


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Document:
    """One document of a file.

    Args:
        index: number in the file from 0, empty documents counted.
        first_line: line of its first character (that of ``---`` where it has one), from 1.
        value: what it says, in JSON's types; None with an ``error``. Aliased parts are shared: do not change them.
        error: why it cannot be read.
        warnings: unknown tags, in words.
        skipped: it was not read, because the caller knows it.
    """

    index: int
    first_line: int
    value: Any = None
    error: YamlError | None = None
    warnings: tuple[str, ...] = ()
    _chunk: Chunk = field(default=Chunk("", 1, False), repr=False, compare=False)
    _limits: Limits = field(default=DEFAULT_LIMITS, repr=False, compare=False)
    skipped: bool = False

    @cached_property
    def _root(self) -> tuple[Node | None, dict[int, int]]:
        text, back = protect(self._chunk.text)
        limits = self._limits
        return compose(
            text, max_depth=limits.max_depth, max_nodes=limits.max_nodes, patience=Patience()
        ), back

    @property
    def fingerprint(self) -> str:
        """The same for the same text, wherever in a file it stands."""
        return self._chunk.fingerprint

    def locate(self, pointer: str, *, key: bool = False) -> Place | None:
        """Where the value at a JSON pointer stands; where that is missing, its nearest parent that is there.

        Args:
            pointer: e.g. ``/metadata/tags/0``; the empty text is the document.
            key: the place of the key instead of the value's.

        Returns:
            None for a document that could not be read.
        """
        if self.error is not None:
            return self.error.place
        node, back = self._root
        if node is None:
            return None
        name: Node = node
        for part in pointer.split("/")[1:]:
            step = _step(node, part.replace("~1", "/").replace("~0", "~"), self._chunk, back)
            if step is None:
                break
            name, node = step
        found = name if key else node
        start, end = found.start_mark, found.end_mark
        return Place(
            start.line + self._chunk.first_line,
            start.column + 1,
            source_line(self._chunk.text, start.line),
            end.column + 1 if end.line == start.line else 0,
        )

    def source_lines(self) -> list[str]:
        """The lines of the document as written."""
        return self._chunk.text.splitlines()


def _step(node: Node, part: str, chunk: Chunk, back: dict[int, int]) -> tuple[Node, Node] | None:
    if isinstance(node, MappingNode):
        builder = _Builder(chunk, back, DEFAULT_LIMITS)
        for key, value in reversed(node.value):
            if builder.key_text(key) == part:
                return key, value
    elif isinstance(node.value, list) and part.isascii() and part.isdigit() and int(part) < len(node.value):
        return node.value[int(part)], node.value[int(part)]
    return None


# The tag of a node, None without one; the types of PyYAML do not know that our composer leaves it out.
_tag: Callable[[Node], str | None] = attrgetter("tag")


class _Builder:
    """Nodes to values, for one document."""

    def __init__(self, chunk: Chunk, back: dict[int, int], limits: Limits) -> None:
        self.text = chunk.text
        self.first_line = chunk.first_line
        self.old = chunk.old
        self.back = back
        self.limits = limits
        self.words = OLD_WORDS if chunk.old else CORE_WORDS
        self.plain = old_scalar if chunk.old else core_scalar
        self.warnings: list[str] = []
        self.built: dict[int, Any] | None = None  # values of collections by node, when there may be aliases
        self.building: set[int] = set()

    def document(self, root: Node) -> Any:
        if "*" in self.text and "&" in self.text:
            self.built = {}
            self._measure_aliases(root)
        return self.build(root, 1)

    def build(self, node: Node, depth: int) -> Any:
        if type(node) is ScalarNode:
            return self.scalar(node)
        if self.built is None:
            return self._collection(node, depth)
        if id(node) not in self.built:
            self.built[id(node)] = self._collection(node, depth)
        return self.built[id(node)]

    def _collection(self, node: Node, depth: int) -> Any:
        if depth > self.limits.max_depth:
            raise too_deep(self.limits.max_depth, self.place(node))
        if _tag(node) is not None:
            self._note_tag(node)
        words, scalar, build, ordinary = self.words, self.scalar, self.build, not self.back
        if not isinstance(node, MappingNode):
            return [build(item, depth + 1) for item in node.value]
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            # The usual key is a plain word; everything else takes the long way.
            key = key_node.value
            if (
                type(key_node) is not ScalarNode
                or _tag(key_node) is not None
                or key_node.style == '"'
                or not ordinary
                or (not key_node.style and (key in words or key[0] in NUMBER_START))
                or (key == _MERGE and self.old)
            ):
                key = self.key_text(key_node)
                if key == _MERGE and self.old and not key_node.style:
                    self._merge(result, node, build(value_node, depth + 1))
                    continue
            if key in result and (first := self._earlier(node, key_node)) is not None:
                raise self._repeated(first, key_node, key)
            if type(value_node) is not ScalarNode:
                result[key] = build(value_node, depth + 1)
                continue
            text, plain = value_node.value, not value_node.style and _tag(value_node) is None and ordinary
            # What scalar() does with most texts, without the call.
            result[key] = (
                text if plain and text not in words and text[0] not in NUMBER_START else scalar(value_node)
            )
        return result

    def scalar(self, node: ScalarNode) -> Any:
        text: str = node.value
        if self.back:
            text = text.translate(self.back)
        tag = _tag(node)
        if tag is None:
            if not node.style:
                if text in self.words:
                    return self.words[text]
                if text[0] in NUMBER_START:
                    return self.plain(text)
        else:
            value, known = tagged_scalar(tag, text, self.plain)
            if not known:
                self._note_tag(node)
            if not isinstance(value, str):
                return value
            text = value
        if node.style == '"' and ("\x00" in text or not text.isascii()):
            return self._checked(node, text)  # only an escape can bring in what the file itself may not hold
        return text

    def key_text(self, node: Node) -> str:
        """The text that a key becomes: JavaScript's for scalars, the source on one line for collections."""
        if isinstance(node, ScalarNode):
            value = self.scalar(node)
            return js_string(value) if not isinstance(value, dict) else node.value
        start, end = node.start_mark, node.end_mark
        lines = self.text.split("\n")[start.line : end.line + 1]
        lines[-1] = lines[-1][: end.column]
        lines[0] = lines[0][start.column :]
        inner = " ".join(" ".join(lines).split()).strip("[]{} ")
        return f"{{ {inner} }}" if isinstance(node, MappingNode) else f"[ {inner} ]"

    def place(self, node: Node) -> Place:
        mark = node.start_mark
        return Place(mark.line + 1, mark.column + 1, source_line(self.text, mark.line))

    def _checked(self, node: Node, text: str) -> str:
        if "\x00" in text:
            raise YamlError(
                "a text holds the character NUL",
                code="yaml.control-character",
                remedy="Remove \\0 from the text: it cannot be stored.",
                place=self.place(node),
            )
        if _SURROGATE.search(text) is None:
            return text
        try:  # JSON writes characters beyond U+FFFF as two escapes
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise YamlError(
                "a text holds half of a surrogate pair",
                code="yaml.encoding",
                remedy="Write the character itself, or the whole \\U escape.",
                place=self.place(node),
            ) from None

    def _note_tag(self, node: Node) -> None:
        if str(node.tag).startswith("tag:yaml.org,2002:") and not isinstance(node, ScalarNode):
            return
        self.warnings.append(
            f"line {node.start_mark.line + self.first_line}: unknown tag {node.tag}, the value is kept"
        )

    def _earlier(self, node: MappingNode, key_node: Node) -> Node | None:
        """An earlier key of the mapping that is the same scalar (``5`` and ``"5"`` are not, merged keys neither)."""
        if not isinstance(key_node, ScalarNode):
            return None
        wanted = self.scalar(key_node)
        for earlier, _ in node.value:
            if earlier is key_node:
                return None
            if isinstance(earlier, ScalarNode):
                value = self.scalar(earlier)
                if (
                    value == wanted
                    and isinstance(value, str) == isinstance(wanted, str)
                    and (isinstance(value, bool) == isinstance(wanted, bool))
                ):
                    return earlier
        return None

    def _repeated(self, first: Node, key_node: Node, key: str) -> YamlError:
        return YamlError(
            f"the key {key} is given twice, first on line {first.start_mark.line + self.first_line}",
            code="yaml.duplicate-key",
            remedy="Keep one of the two.",
            place=self.place(key_node),
        )

    def _merge(self, result: dict[str, Any], node: MappingNode, source: Any) -> None:
        """YAML 1.1 merge: keys that the mapping gives itself win, then the first of several sources."""
        own = {self.key_text(key) for key, _ in node.value}
        for mapping in source if isinstance(source, list) else [source]:
            if isinstance(mapping, dict):
                for key, value in mapping.items():
                    if key not in own:
                        result.setdefault(key, value)

    def _measure_aliases(self, root: Node) -> None:
        """Counts what the document is once its aliases are written out."""
        sizes: dict[int, tuple[int, int]] = {}  # nodes and levels, by node
        repeated = 0

        def measure(node: Node) -> tuple[int, int]:
            nonlocal repeated
            known = sizes.get(id(node))
            if known is not None:
                repeated += known[0]
                if repeated > self.limits.max_alias_nodes:
                    raise YamlError(
                        f"aliases stand for more than {self.limits.max_alias_nodes} values",
                        code="yaml.alias-expansion",
                        remedy="Write the values out, or use fewer aliases inside anchors.",
                        place=self.place(node),
                    )
                return known
            if id(node) in self.building:
                raise YamlError(
                    "an alias stands inside its own anchor",
                    code="yaml.circular-alias",
                    remedy="Remove the alias: the value would have no end.",
                    place=self.place(node),
                )
            size, levels = 1, 0
            if not isinstance(node, ScalarNode):
                self.building.add(id(node))
                pairs = node.value if isinstance(node, MappingNode) else [(child,) for child in node.value]
                for pair in pairs:
                    for child in pair:
                        more, below = measure(child)
                        size += more
                        levels = max(levels, below)
                self.building.discard(id(node))
                levels += 1
            if levels > self.limits.max_depth:
                raise too_deep(self.limits.max_depth, self.place(node))
            if size > self.limits.max_nodes:
                raise too_many_nodes(self.limits.max_nodes, self.place(node))
            sizes[id(node)] = size, levels
            return size, levels

        measure(root)


def load_documents(
    data: bytes | str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    keep_empty: bool = False,
    skip: Collection[str] = (),
) -> Iterator[Document]:
    """The documents of a file, in order; null documents are left out but counted.

    Args:
        data: the file. Bytes have to be UTF-8; a byte order mark is skipped.
        keep_empty: null documents come too, with the value None.
        limits: see :class:`Limits`.
        skip: fingerprints of documents that need not be read.

    Yields:
        every document with its value or its error. One that cannot be read does not keep the others back, except
        where the file as a whole is too large or in another encoding: that is one document 0 with the error.
    """
    try:
        text = _decode(data, limits)
    except YamlError as error:
        yield Document(0, 1, error=error)
        return
    patience = Patience()
    for index, chunk in enumerate(split_documents(text)):
        if skip and chunk.fingerprint in skip:
            yield Document(index, chunk.first_line, skipped=True, _chunk=chunk)
            continue
        document = _read(index, chunk, limits, patience)
        if keep_empty or document.value is not None or document.error is not None:
            yield document


def load(data: bytes | str, *, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The value of a file that holds one document; None when it is empty.

    Raises:
        YamlError: the first error, or more than one document (empty ones count).
    """
    text = _decode(data, limits)
    chunks = split_documents(text)
    if len(chunks) > 1:
        place = Place(chunks[1].first_line, 1, source_line(text, chunks[1].first_line - 1))
        raise YamlError(
            f"{len(chunks)} documents where one is expected",
            remedy="Keep one document in the file.",
            place=place,
        )
    if not chunks:
        return None
    document = _read(0, chunks[0], limits, Patience())
    if document.error is not None:
        raise document.error
    return document.value


def _decode(data: bytes | str, limits: Limits) -> str:
    if len(data) > limits.max_bytes:
        raise YamlError(
            f"the file has {len(data)} bytes, more than the {limits.max_bytes} allowed",
            code="yaml.too-large",
            remedy="Split the file, or keep large definitions in files of their own.",
        )
    if isinstance(data, str):
        return _whole_lines(data)
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            raise YamlError(
                f"the file is {name}, not UTF-8",
                code="yaml.encoding",
                remedy="Save the file as UTF-8.",
                place=Place(1, 1, ""),
            )
    # Bytes that are no UTF-8 are charged to the document they stand in.
    return _whole_lines(data.decode("utf-8", "surrogateescape"))


def _whole_lines(text: str) -> str:
    # A block scalar at the very end keeps its line break in stock whether or not the file ends with one.
    text = text.removeprefix("\ufeff")
    return text if text.endswith("\n") else f"{text}\n"


def _read(index: int, chunk: Chunk, limits: Limits, patience: Patience) -> Document:
    try:
        _check_characters(chunk.text)
        text, back = protect(chunk.text)
        root = compose(text, max_depth=limits.max_depth, max_nodes=limits.max_nodes, patience=patience)
        if root is None:
            return Document(index, chunk.first_line)
        builder = _Builder(chunk, back, limits)
        value = builder.document(root)
    except YamlError as error:
        if error.place is not None:
            error.place = replace(error.place, line=error.place.line + chunk.first_line - 1)
        return Document(index, chunk.first_line, error=error)
    return Document(index, chunk.first_line, value, None, tuple(builder.warnings), chunk, limits)


def _check_characters(text: str) -> None:
    if text.isascii():
        bad = text.find("\x00")
    else:
        undecoded = _UNDECODED.search(text)
        if undecoded is not None:
            raise YamlError(
                f"the byte 0x{ord(undecoded[0]) - 0xDC00:02x} is not UTF-8",
                code="yaml.encoding",
                remedy="Save the file as UTF-8; it looks like Latin-1 or Windows-1252.",
                place=_place_at(text, undecoded.start()),
            )
        bad = text.find("\x00")
    if bad >= 0:
        raise YamlError(
            "the file holds the character NUL",
            code="yaml.control-character",
            remedy="Save the file as UTF-8 text without NUL characters (UTF-16 text has them).",
            place=_place_at(text, bad),
        )


def _place_at(text: str, position: int) -> Place:
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1)
    return Place(line + 1, column + 1, source_line(text, line).encode("utf-8", "replace").decode())
