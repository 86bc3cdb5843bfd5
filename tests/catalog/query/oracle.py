"""What the catalog should answer, worked out in plain Python over whole documents (catalog API, what is searchable)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from catalog.query.conditions import (
    COLUMNS,
    All,
    Among,
    AnyOf,
    Column,
    Condition,
    Contains,
    Has,
    Not,
    Related,
    StartsWith,
    Valued,
)
from tests.factories.catalog import ref_of

Document = Mapping[str, Any]


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _flat(value: Any, path: str) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, path)
            if isinstance(item, str):
                yield f"{path}.{item}", "true"
    else:
        yield path, None if value is None else _scalar(value)


def attributes(document: Document) -> set[tuple[str, str | None]]:
    """(key in lower case, value as written or None) of everything searchable."""
    found: set[tuple[str, str | None]] = set()
    for root in ("apiVersion", "kind", "metadata", "spec"):
        found |= set(_flat(document[root], root))
    found |= {(f"relations.{r['type']}", r["targetRef"]) for r in document["relations"]}
    return {
        (key.lower(), value if value is not None and len(value) <= 200 else None)
        for key, value in found
        if len(key) <= 200 and key != "metadata.etag"
    }


def values(document: Document, key: str) -> set[str]:
    """Values of a key that can be compared, lower case."""
    return {value.lower() for found, value in attributes(document) if found == key and value is not None}


def _relations(document: Document) -> set[tuple[str, str]]:
    return {(r["type"].lower(), r["targetRef"]) for r in document["relations"]}


def _columns(document: Document) -> dict[str, str]:
    owned = sorted(target for kind, target in _relations(document) if kind == "ownedby")
    parts = sorted(t for kind, t in _relations(document) if kind == "partof" and t.startswith("system:"))
    return {
        "owner": owned[0] if owned else "",
        "system": parts[0] if parts else "",
        "state": "active",
        "errors": "false",
        "source": "",
    }


def matches(condition: Condition, document: Document) -> bool:
    match condition:
        case All(parts):
            return all(matches(part, document) for part in parts)
        case AnyOf(parts):
            return any(matches(part, document) for part in parts)
        case Not(part):
            return not matches(part, document)
        case Has(key):
            return any(found == key for found, _ in attributes(document))
        case Valued(key):
            return bool(values(document, key))
        case Among(key, wanted):
            return bool(values(document, key) & set(wanted))
        case StartsWith(key, prefix):
            return any(value.startswith(prefix) for value in values(document, key))
        case Contains(keys, term):
            return any(term in value for key in keys for value in values(document, key))
        case Related(kind, targets):
            return any(k == kind and (targets is None or t in targets) for k, t in _relations(document))
        case Column(name, wanted):
            assert name in COLUMNS
            return _columns(document)[name] in wanted


def fitting(condition: Condition, documents: Iterable[Document]) -> list[Document]:
    return [document for document in documents if matches(condition, document)]


def refs(documents: Iterable[Document]) -> list[str]:
    return sorted(ref_of(document) for document in documents)


def listed(
    documents: Iterable[Document], key: str | None, *, descending: bool = False
) -> list[tuple[str, str]]:
    """(sort value, uid) of the rows of a stock list."""
    rows = []
    for document in documents:
        uid = document["metadata"]["uid"]
        rows += [("", uid)] if key is None else [(value, uid) for value in values(document, key)]
    return sorted(rows, reverse=descending)


def counted(documents: Sequence[Document], key: str) -> dict[str, int]:
    """Values as written, with the number of documents that have each."""
    found: Counter[str] = Counter()
    for document in documents:
        if key in COLUMNS:
            found[_columns(document)[key]] += 1
        else:
            found.update({value for name, value in attributes(document) if name == key and value is not None})
    return dict(found)


def predicate_matches(predicate: Any, document: Document) -> bool:
    """A JSON predicate read without any of our code (catalog API, predicates)."""
    if "$all" in predicate:
        return all(predicate_matches(part, document) for part in predicate["$all"])
    if "$any" in predicate:
        return any(predicate_matches(part, document) for part in predicate["$any"])
    if "$not" in predicate:
        return not predicate_matches(predicate["$not"], document)
    return all(_field_matches(key.lower(), value, document) for key, value in predicate.items())


def _field_matches(key: str, value: Any, document: Document) -> bool:
    found = values(document, key)
    if not isinstance(value, dict):
        return _scalar(value).lower() in found
    operator, operand = next(iter(value.items()))
    match operator:
        case "$exists":
            return any(name == key for name, _ in attributes(document)) is operand
        case "$in":
            return bool({_scalar(item).lower() for item in operand} & found)
        case "$hasPrefix":
            return any(item.startswith(operand.lower()) for item in found)
        case "$contains" if not isinstance(operand, dict):
            return _scalar(operand).lower() in found
        case "$contains":
            target = operand.get("targetRef")
            wanted = (
                None
                if target is None
                else {t.lower() for t in (target["$in"] if isinstance(target, dict) else [target])}
            )
            kind = operand["type"].lower()
            return any(k == kind and (wanted is None or t in wanted) for k, t in _relations(document))
    raise AssertionError(operator)
