"""What is different between two versions of a document, field by field. No tables, no Django.

Lists in which order means nothing (tags, relations) are compared as sets, lists of objects with a natural key (links by
address) by that key, all others by position. A step of a path is the key of an object, the position in a list, or the
item (its key) in a list that is compared without order.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Step = str | int
Path = tuple[Step, ...]

#: Lists of strings in which order means nothing. Callers add the relation fields of kinds of their own.
UNORDERED: frozenset[Path] = frozenset(
    {
        ("metadata", "tags"),
        ("spec", "apiProvidedBy"),
        ("spec", "children"),
        ("spec", "consumesApis"),
        ("spec", "dependencyOf"),
        ("spec", "dependsOn"),
        ("spec", "memberOf"),
        ("spec", "members"),
        ("spec", "providesApis"),
    }
)

_PLAIN = re.compile(r"[A-Za-z_$][\w$-]*")


def _link(item: Mapping[str, Any]) -> str | None:
    url = item.get("url")
    return url if isinstance(url, str) else None


def _relation(item: Mapping[str, Any]) -> str | None:
    kind, target = item.get("type"), item.get("targetRef")
    return f"{kind} {target}" if isinstance(kind, str) and isinstance(target, str) else None


#: Lists of objects that are told apart by a key of their own; their order means nothing either.
KEYED: dict[Path, Callable[[Mapping[str, Any]], str | None]] = {
    ("metadata", "links"): _link,
    ("relations",): _relation,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        path: where, from the root of the document.
        kind: what happened there.
        old: the value before; None where there was none.
        new: the value after; None where there is none.
    """

    path: Path
    kind: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None

    @property
    def field(self) -> str:
        """The path as a person writes it: ``metadata.links["https://…"].title``."""
        return field_name(self.path)

    def as_json(self) -> dict[str, Any]:
        """For API answers: ``old`` and ``new`` only where there is one."""
        value: dict[str, Any] = {"path": list(self.path), "field": self.field, "kind": self.kind}
        if self.kind != "added":
            value["old"] = self.old
        if self.kind != "removed":
            value["new"] = self.new
        return value


def field_name(path: Iterable[Step]) -> str:
    """A path as text; steps that are no plain names stand in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            quoted = step.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{quoted}"]'
    return text


def diff_documents(
    old: Mapping[str, Any], new: Mapping[str, Any], *, unordered: Iterable[Path] = ()
) -> list[Change]:
    """The changes that make ``new`` of ``old``, in the order of their fields.

    Args:
        old, new: JSON documents.
        unordered: further lists of strings in which order means nothing, by path.
    """
    comparison = _Comparison(UNORDERED.union(unordered))
    comparison.objects((), old, new)
    return comparison.changes


def apply_changes(document: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """The document after ``changes``, which ``diff_documents`` gave for it; items of lists without order come last.

    Raises:
        LookupError: a change names a place that the document does not have.
    """
    result = copy.deepcopy(dict(document))
    for change in changes:
        parent: Any = result
        for depth, step in enumerate(change.path[:-1]):
            parent = parent[_position(parent, step, change.path[:depth])]
        _apply(parent, change)
    return result


def _apply(parent: Any, change: Change) -> None:
    step = change.path[-1]
    if change.kind == "added":
        value = copy.deepcopy(change.new)
        if isinstance(parent, list):
            parent.append(value)
        else:
            parent[step] = value
        return
    place = _position(parent, step, change.path[:-1])
    if change.kind == "removed":
        del parent[place]
    else:
        parent[place] = copy.deepcopy(change.new)


def _position(parent: Any, step: Step, path: Path) -> Any:
    """Where an item of a list stands that is named by itself or by its key; any other step as it is."""
    if not isinstance(parent, list) or isinstance(step, int):
        return step
    key = KEYED.get(path)
    for index, item in enumerate(parent):
        if item == step or (key is not None and isinstance(item, dict) and key(item) == step):
            return index
    raise LookupError(f"There is no {step!r} in {field_name(path)}.")


class _Comparison:
    def __init__(self, unordered: frozenset[Path]) -> None:
        self.unordered = unordered
        self.changes: list[Change] = []

    def objects(self, path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        for name in [*old, *(name for name in new if name not in old)]:
            place = (*path, name)
            if name not in new:
                self.changes.append(Change(place, "removed", old=old[name]))
            elif name not in old:
                self.changes.append(Change(place, "added", new=new[name]))
            else:
                self.values(place, old[name], new[name])

    def values(self, path: Path, old: Any, new: Any) -> None:
        if isinstance(old, dict) and isinstance(new, dict):
            self.objects(path, old, new)
        elif isinstance(old, list) and isinstance(new, list):
            self.lists(path, old, new)
        elif type(old) is not type(new) or old != new:  # for Python, true is 1 and 1 is 1.0
            self.changes.append(Change(path, "changed", old, new))

    def lists(self, path: Path, old: list[Any], new: list[Any]) -> None:
        before, after = self._by_key(path, old), self._by_key(path, new)
        if before is not None and after is not None:
            self.objects(path, before, after)
            return
        for index, (left, right) in enumerate(zip(old, new, strict=False)):
            self.values((*path, index), left, right)
        for index in range(len(old) - 1, len(new) - 1, -1):  # from the end, so that positions stay true
            self.changes.append(Change((*path, index), "removed", old=old[index]))
        for index in range(len(old), len(new)):
            self.changes.append(Change((*path, index), "added", new=new[index]))

    def _by_key(self, path: Path, items: Sequence[Any]) -> dict[str, Any] | None:
        """The items by what tells them apart; None where position does."""
        keys: list[str | None]
        if path in self.unordered:
            keys = [item if isinstance(item, str) else None for item in items]
        elif path in KEYED:
            keys = [KEYED[path](item) if isinstance(item, dict) else None for item in items]
        else:
            return None
        found = {key: item for key, item in zip(keys, items, strict=True) if key is not None}
        return found if len(found) == len(items) else None
