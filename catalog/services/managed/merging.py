"""JSON merge patches (RFC 7396), and what two documents differ in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog.ingest.problems import pointer
from portal.core.errors import InputError

DEEPEST = 100


def merge_patch(target: Any, patch: Any, depth: int = 0) -> Any:
    """``target`` with ``patch`` applied; nothing is changed in place. Null removes a key, a list replaces a list."""
    if not isinstance(patch, Mapping):
        return patch
    if depth > DEEPEST:
        raise InputError(f"The patch is nested more than {DEEPEST} levels deep.", code="catalog.write.depth")
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value, depth + 1)
    return merged


def differences(before: Any, after: Any, path: tuple[str | int, ...] = ()) -> Iterator[dict[str, Any]]:
    """What changes, by JSON pointer: ``{"path", "before"?, "after"?}``; a side is left out where it has nothing.

    Mappings are compared key by key, lists as a whole: an item has no name by which it could be followed.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({**before, **after}):
            at = (*path, key)
            if key not in after:
                yield {"path": pointer(*at), "before": before[key]}
            elif key not in before:
                yield {"path": pointer(*at), "after": after[key]}
            else:
                yield from differences(before[key], after[key], at)
    elif before != after or type(before) is not type(after):
        yield {"path": pointer(*path), "before": before, "after": after}
