"""Which entities a bulk operation is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.models import Entity
from catalog.query import EntityQuery
from catalog.query.conditions import EVERYTHING, Condition, all_of
from catalog.query.dictionary import is_storable
from catalog.query.filters import parse_filters
from catalog.query.predicates import parse_predicate
from catalog.refs import parse_ref
from portal.access.viewer import CURATE, Viewer
from portal.core.errors import InputError, TooLargeError

#: Entities of one operation: each of them is looked at before anything is done.
MOST = 5_000
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything that is named has to hold.

    Attributes:
        filter: stock's filter grammar, each text an alternative.
        query: a predicate.
        refs: these references.
        include, exclude, text: as the lists of the portal ask (``EntityQuery``).
    """

    filter: tuple[str, ...] = ()
    query: Mapping[str, Any] | None = None
    refs: tuple[str, ...] = ()
    include: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Mapping[str, Sequence[str]] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Selection:
        """``{"filter": [...], "query": {...}, "refs": [...]}``, at least one of them.

        Raises:
            InputError: another shape, or one that selects the whole catalog.
        """
        unknown = sorted(body.keys() - {"filter", "query", "refs"})
        if unknown or not body:
            raise _bad(
                f"request/body/select must NOT have additional properties, found '{unknown[0]}'"
                if unknown
                else "request/body/select must have filter, query or refs"
            )
        filters, refs, query = body.get("filter", []), body.get("refs", []), body.get("query")
        for name, value in (("filter", filters), ("refs", refs)):
            if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                raise _bad(f"request/body/select/{name} must be a list of texts")
        if query is not None and not isinstance(query, Mapping):
            raise _bad("request/body/select/query must be object")
        selection = cls(tuple(filters), query, tuple(parse_ref(ref).canonical for ref in refs))
        if not refs and selection._where() == EVERYTHING:
            raise _bad("request/body/select selects the whole catalog")
        return selection

    def as_json(self) -> dict[str, Any]:
        named = {
            "filter": list(self.filter),
            "query": self.query,
            "refs": list(self.refs),
            "include": {key: list(values) for key, values in self.include.items()},
            "exclude": {key: list(values) for key, values in self.exclude.items()},
            "text": self.text,
        }
        return {key: value for key, value in named.items() if value}

    def entities(self, viewer: Viewer) -> list[Entity]:
        """The entities that the viewer may curate, by reference, with their sources.

        Raises:
            TooLargeError: more than one operation may have.
        """
        query = EntityQuery(
            viewer,
            where=self._where(),
            include=self.include,
            exclude=self.exclude,
            text=self.text or None,
            action=CURATE,
            version=None,
        )
        rows = query.entities().select_related("source").order_by("ref")
        if not self.refs:
            return _bounded(list(rows[: MOST + 1]))
        found: list[Entity] = []
        wanted = sorted({ref for ref in self.refs if is_storable(ref)})
        _bounded(wanted)
        for part in _chunks(wanted):
            found += rows.filter(ref__in=part)
        return found

    def _where(self) -> Condition:
        parts = [parse_filters(self.filter)]
        if self.query is not None:
            parts.append(parse_predicate(self.query))
        return all_of(*parts)


def _chunks(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(refs), _CHUNK):
        yield refs[start : start + _CHUNK]


def _bounded(found: list[Any]) -> list[Any]:
    if len(found) > MOST:
        raise TooLargeError(
            f"These are more than {MOST:,} entities.",
            code="catalog.bulk.size",
            remedy="Narrow the selection, and do one part after the other.",
        )
    return found


def _bad(message: str) -> InputError:
    return InputError(
        message,
        code="catalog.bulk.selection",
        remedy='Write {"filter": ["kind=component"], "query": {...}, "refs": ["component:default/shop"]}, any of them.',
    )
