"""The operations of an API definition, read for a list on a page.

A definition is text that somebody else wrote. Reading it here never fails: what cannot be read gives no operations and
one sentence that says why, and the text itself is shown either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.core.errors import CallboardError
from portal.core.yaml import load

#: Reading a definition costs; beyond this many characters the page shows the text only.
READ_CHARS = 2_000_000
#: Operations one page lists.
SHOWN_OPERATIONS = 300

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_GRAPHQL_ROOTS = {"Query": "query", "Mutation": "mutation", "Subscription": "subscription"}
_GRAPHQL_BLOCK = re.compile(r"\b(?:extend\s+)?type\s+(\w+)[^{}]*\{")
_GRAPHQL_FIELD = re.compile(r"^\s*(\w+)\s*(\([^)]*\))?\s*:\s*([\[\]\w!]+)([^\n]*)", re.MULTILINE)
_GRAPHQL_NOISE = re.compile(r'"""[\s\S]*?"""|#[^\n]*|"(?:[^"\\\n]|\\.)*"')
_PROTO_NOISE = re.compile(r"/\*[\s\S]*?\*/|//[^\n]*")
_PROTO_SERVICE = re.compile(r"\bservice\s+(\w+)\s*\{")
_PROTO_RPC = re.compile(
    r"\brpc\s+(\w+)\s*\(\s*(stream\s+)?([\w.]+)\s*\)\s*returns\s*\(\s*(stream\s+)?([\w.]+)\s*\)"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a caller can do.

    Attributes:
        verb: GET, send, query, rpc.
        name: path, channel, field or method.
        summary: one line of the author, may be empty.
        group: tag or service it belongs to, may be empty.
    """

    verb: str
    name: str
    summary: str = ""
    group: str = ""
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """What a definition declares.

    Attributes:
        language: what to colour the text in.
        title, version: as the definition calls itself.
        problem: why there are no operations, where reading failed.
        total: operations in all; more than ``operations`` where the list was cut.
    """

    language: str
    title: str = ""
    version: str = ""
    servers: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    total: int = 0
    problem: str = ""


def read_definition(text: str, api_type: str) -> Definition:
    """Operations of an API definition.

    Args:
        api_type: openapi, asyncapi, graphql or grpc; others give none.
    """
    if len(text) > READ_CHARS:
        return Definition(
            _language(api_type), problem=f"The definition is longer than {READ_CHARS:,} characters."
        )
    match api_type:
        case "graphql":
            return _cut(Definition("graphql", operations=list(_graphql(text))))
        case "grpc":
            return _cut(Definition("protobuf", operations=list(_grpc(text))))
        case "openapi" | "asyncapi" | "swagger":
            return _cut(_document(text))
        case _:
            return Definition(_language(api_type))


def _language(api_type: str) -> str:
    return {"graphql": "graphql", "grpc": "protobuf"}.get(api_type, "yaml")


def _cut(whole: Definition) -> Definition:
    return Definition(
        whole.language,
        whole.title,
        whole.version,
        whole.servers,
        whole.operations[:SHOWN_OPERATIONS],
        len(whole.operations),
        whole.problem,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _first_line(value: Any) -> str:
    lines = _text(value).splitlines()
    return lines[0][:200] if lines else ""


def _document(text: str) -> Definition:
    language = "json" if text.lstrip().startswith("{") else "yaml"
    try:
        loaded = load(text)
    except CallboardError as error:
        return Definition(language, problem=error.message)
    document = _mapping(loaded)
    if not document:
        return Definition(language, problem="The definition is not a YAML or JSON mapping.")
    info = _mapping(document.get("info"))
    servers = document.get("servers")
    named = _list(servers) or list(_mapping(servers).values())
    operations = _asyncapi(document) if "asyncapi" in document else _openapi(document)
    return Definition(
        language,
        title=_first_line(info.get("title")),
        version=_first_line(info.get("version")),
        servers=[a for a in (_text(_mapping(s).get("url") or _mapping(s).get("host")) for s in named) if a][
            :5
        ],
        operations=list(operations),
    )


def _openapi(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in _mapping(document.get("paths")).items():
        for method in _METHODS:
            found = _mapping(item).get(method)
            if isinstance(found, Mapping):
                tags = _list(found.get("tags"))
                yield Operation(
                    method.upper(),
                    str(path),
                    _first_line(found.get("summary") or found.get("description") or found.get("operationId")),
                    _first_line(tags[0]) if tags else "",
                    found.get("deprecated") is True,
                )


def _asyncapi(document: Mapping[str, Any]) -> Iterator[Operation]:
    channels = _mapping(document.get("channels"))
    for name, value in _mapping(document.get("operations")).items():  # version 3
        operation = _mapping(value)
        channel = _text(_mapping(operation.get("channel")).get("$ref")).rpartition("/")[2]
        address = _text(_mapping(channels.get(channel)).get("address")) or channel or str(name)
        verb = _text(operation.get("action")) or "uses"
        yield Operation(verb, address, _first_line(operation.get("summary")), str(name))
    if not str(document.get("asyncapi")).startswith("3"):
        for name, channel in channels.items():  # version 2
            for verb in ("publish", "subscribe"):
                found = _mapping(channel).get(verb)
                if isinstance(found, Mapping):
                    summary = found.get("summary") or found.get("description") or found.get("operationId")
                    yield Operation(verb, str(name), _first_line(summary))


def _block(text: str, start: int) -> str:
    """What stands between the brace before ``start`` and the one that closes it."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]


def _graphql(text: str) -> Iterator[Operation]:
    plain = _GRAPHQL_NOISE.sub(" ", text)
    for block in _GRAPHQL_BLOCK.finditer(plain):
        verb = _GRAPHQL_ROOTS.get(block[1])
        if verb is None:
            continue
        body = re.sub(r"\([^)]*\)", lambda m: m[0].replace("\n", " "), _block(plain, block.end()))
        for found in _GRAPHQL_FIELD.finditer(body.replace(",", "\n") if "\n" not in body else body):
            yield Operation(verb, f"{found[1]}: {found[3]}", deprecated="@deprecated" in found[4])


def _grpc(text: str) -> Iterator[Operation]:
    plain = _PROTO_NOISE.sub(" ", text)
    for service in _PROTO_SERVICE.finditer(plain):
        for rpc in _PROTO_RPC.finditer(_block(plain, service.end())):
            takes = f"{'stream of ' if rpc[2] else ''}{rpc[3]}"
            gives = f"{'stream of ' if rpc[4] else ''}{rpc[5]}"
            yield Operation("rpc", rpc[1], f"{takes} to {gives}", service[1])
