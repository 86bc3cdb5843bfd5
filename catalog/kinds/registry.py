"""Kinds as data: what the catalog accepts, and what follows from it.

A row says everything about one kind (see the files in ``catalog/kinds/shipped``)::

    {"kind": "Component", "plural": "Components", "icon": "service", "order": 5, "description": "...",
     "default_allowed": true,
     "versions": [{"api_versions": ["backstage.io/v1alpha1"], "spec_type": "", "schema": {...}}],
     "relations": [{"path": "spec.owner", "relation": "ownedBy", "reverse": "ownerOf", "default_kind": "Group",
                    "default_namespace": "inherit", "spec_types": ["skill"]}],
     "sorted_lists": ["spec.dependsOn"]}

``order`` is the place among the other kinds in the portal (kinds of the same place by name; 100 unless said).
``schema`` validates the whole entity; the envelope and ``metadata`` are checked before it for every kind, so it only
needs to speak of ``spec``. A version may name one ``api_version`` instead of the list. A version with a ``spec_type``
takes the place of the one without where ``spec.type`` has that value. ``default_kind`` null or empty makes the kind
mandatory in the reference; ``default_namespace`` is ``inherit`` (that of the declaring entity, the default) or
``default``; without ``spec_types`` the field counts for every ``spec.type``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema_rs

from portal.core.errors import InputError

_HERE = Path(__file__).parent
_ANYTHING: dict[str, Any] = {"type": "object"}  # for a kind of which only some spec types have a schema


@dataclass(frozen=True, slots=True)
class RelationField:
    """A field whose references become relations, both ways.

    Args:
        path: keys from the root, e.g. ``("spec", "owner")``; the value is a reference or a list of them.
        relation: from the declaring entity to the target, ``reverse`` the other way.
        default_kind: None when a reference has to name its kind.
        inherit_namespace: a missing namespace is that of the declaring entity, else ``default``.
        spec_types: only for these values of ``spec.type``; empty for all.
    """

    path: tuple[str, ...]
    relation: str
    reverse: str
    default_kind: str | None
    inherit_namespace: bool = True
    spec_types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KindVersion:
    """A kind under one apiVersion: all that processing needs.

    Args:
        variants: by ``spec.type``, schema and validator that take the place of the general ones.
        sorted_lists: keys to a mapping, and the names of the lists in it that are kept sorted.
    """

    kind: str
    api_version: str
    schema: Mapping[str, Any]
    validator: Any = field(repr=False, compare=False)
    variants: Mapping[str, tuple[Mapping[str, Any], Any]]
    relations: tuple[RelationField, ...]
    sorted_lists: tuple[tuple[tuple[str, ...], frozenset[str]], ...]

    def schema_for(self, spec_type: Any) -> tuple[Mapping[str, Any], Any]:
        """The JSON Schema and its compiled validator for a value of ``spec.type``."""
        if self.variants and isinstance(spec_type, str):
            return self.variants.get(spec_type, (self.schema, self.validator))
        return self.schema, self.validator


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as people see it."""

    name: str
    plural: str
    icon: str
    description: str
    default_allowed: bool
    api_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnnotationDefinition:
    """A known annotation.

    Args:
        value_type: ``text``, ``url``, ``ref`` (an entity) or ``boolean``.
        reader: who reads it.
        example: a value.
        alias_of: the key that is used today.
        set_by_system: what an author writes is overwritten.
    """

    key: str
    description: str = ""
    value_type: str = "text"
    reader: str = ""
    example: str = ""
    alias_of: str = ""
    deprecated: bool = False
    set_by_system: bool = False


class KindRegistry:
    """An immutable snapshot of the known kinds, annotations and tags; safe to share between threads.

    Args:
        kinds: by name.
        versions: by (kind, apiVersion), compared with case.
        annotations: known annotations by key.
        tags: the vocabulary of tags; None when any tag will do.
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        versions: Mapping[tuple[str, str], KindVersion],
        annotations: Mapping[str, AnnotationDefinition],
        tags: frozenset[str] | None = None,
    ) -> None:
        self.kinds = MappingProxyType(dict(kinds))
        self.annotations = MappingProxyType(dict(annotations))
        self.tags = tags
        self._versions = dict(versions)

    def lookup(self, kind: Any, api_version: Any) -> KindVersion | None:
        """The kind under that apiVersion; letter case counts, as in stock."""
        try:
            return self._versions.get((kind, api_version))
        except TypeError:  # a list or mapping in either field
            return None

    def similar_kind(self, kind: str) -> str | None:
        """A known kind that differs in letter case or by a plural ``s`` only."""
        wanted = kind.lower()
        for name in self.kinds:
            if name.lower() in (wanted, wanted.removesuffix("s")):
                return name
        return None

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        annotations: Iterable[Mapping[str, Any]] | None = None,
        tags: Iterable[str] | None = None,
    ) -> KindRegistry:
        """A registry of these kinds; compiled schemas are shared between registries, so that building one is cheap.

        Args:
            rows: kinds in the form above.
            annotations: definitions as in ``annotations.json``; the shipped ones when None.
            tags: the vocabulary of tags, if there is one.

        Raises:
            InputError: a row misses a key, two rows claim the same kind and version, or a schema is not valid JSON
                Schema (code ``catalog.kind.schema``).
        """
        kinds: dict[str, Kind] = {}
        versions: dict[tuple[str, str], KindVersion] = {}
        for row in rows:
            try:
                for version in _versions_of(row):
                    if (version.kind, version.api_version) in versions:
                        raise _twice(version.kind, version.api_version)
                    versions[version.kind, version.api_version] = version
                kinds[row["kind"]] = Kind(
                    row["kind"],
                    row.get("plural") or f"{row['kind']}s",
                    row.get("icon") or "unknown",
                    row.get("description") or "",
                    bool(row.get("default_allowed", True)),
                    tuple(dict.fromkeys(name for entry in row["versions"] for name in _api_versions(entry))),
                )
            except (KeyError, TypeError) as error:
                raise InputError(
                    f"the definition of kind {row.get('kind', '?')} lacks or misuses {error}",
                    code="catalog.kind.definition",
                    remedy="Give it kind, versions (each with api_versions and schema), relations and sorted_lists.",
                ) from error
        definitions = shipped_annotations() if annotations is None else annotations
        names = [f.name for f in fields(AnnotationDefinition)]
        known = {
            row["key"]: AnnotationDefinition(**{name: row[name] for name in names if name in row})
            for row in definitions
        }
        return cls(kinds, versions, known, None if tags is None else frozenset(tags))

    @classmethod
    def shipped(cls) -> KindRegistry:
        """The kinds and annotations that come with Callboard."""
        return _shipped_registry()


def shipped_rows() -> list[dict[str, Any]]:
    """The shipped kinds in their order, in the form of :meth:`KindRegistry.from_rows`; fresh copies."""
    rows = [json.loads(path.read_text("utf-8")) for path in (_HERE / "shipped").glob("*.json")]
    return sorted(rows, key=lambda row: (row["order"], row["kind"]))


def shipped_annotations() -> list[dict[str, Any]]:
    """The shipped annotation definitions; fresh copies."""
    rows: list[dict[str, Any]] = json.loads((_HERE / "annotations.json").read_text("utf-8"))
    return rows


@cache
def _shipped_registry() -> KindRegistry:
    return KindRegistry.from_rows(shipped_rows())


def _api_versions(entry: Mapping[str, Any]) -> list[str]:
    return list(entry["api_versions"]) if "api_versions" in entry else [entry["api_version"]]


def _versions_of(row: Mapping[str, Any]) -> Iterable[KindVersion]:
    relations = tuple(
        RelationField(
            tuple(item["path"].split(".")),
            item["relation"],
            item["reverse"],
            item.get("default_kind") or None,
            item.get("default_namespace", "inherit") == "inherit",
            frozenset(item.get("spec_types") or ()),
        )
        for item in row.get("relations") or ()
    )
    lists: dict[tuple[str, ...], set[str]] = {}
    for path in row.get("sorted_lists") or ():
        *parents, name = path.split(".")
        lists.setdefault(tuple(parents), set()).add(name)
    sorted_lists = tuple((parents, frozenset(names)) for parents, names in lists.items())
    by_version: dict[str, dict[str, tuple[Mapping[str, Any], Any]]] = {}
    for entry in row["versions"]:
        for api_version in _api_versions(entry):
            schemas = by_version.setdefault(api_version, {})
            if (entry.get("spec_type") or "") in schemas:
                raise _twice(row["kind"], api_version)
            schemas[entry.get("spec_type") or ""] = entry["schema"], compile_schema(entry["schema"])
    for api_version, schemas in by_version.items():
        schema, validator = schemas.pop("", (_ANYTHING, compile_schema(_ANYTHING)))
        yield KindVersion(
            row["kind"], api_version, schema, validator, MappingProxyType(schemas), relations, sorted_lists
        )


def _twice(kind: str, api_version: str) -> InputError:
    return InputError(
        f"{kind} {api_version} is defined twice", code="catalog.kind.duplicate", remedy="Keep one definition."
    )


def compile_schema(schema: Mapping[str, Any]) -> Any:
    """A compiled validator (``is_valid``, ``iter_errors``); equal schemas share one.

    References to other documents are not followed, and patterns cannot be made to run for long.

    Raises:
        InputError: not a valid JSON Schema (code ``catalog.kind.schema``).
    """
    return _compiled(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=512)
def _compiled(text: str) -> Any:
    try:
        return jsonschema_rs.validator_for(
            json.loads(text), offline=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InputError(
            f"not a valid JSON Schema: {error}".split("\n")[0],
            code="catalog.kind.schema",
            remedy="Repair the schema of the kind; references to other documents are not followed.",
        ) from error
