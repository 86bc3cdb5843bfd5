"""Small catalogs and questions about them, full of what is easily got wrong."""

from __future__ import annotations

import string
import uuid
from typing import Any

from hypothesis import strategies as st

from catalog.query.conditions import (
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
from tests.factories.catalog import document

#: Values that meet in one catalog: letter case, wildcards, quotes, an escape, other scripts, texts of other types.
WORDS = (
    "java",
    "Java",
    "a_b",
    "a%b",
    "a\\b",
    "axb",
    "",
    "x'; --",
    "Straße",
    "ÉCLAIR",
    "éclair",
    "σίσυφος",
    "42",
    "true",
    "null",
)
LONG = "w" * 201
TYPES = ("service", "Service", "library", "", "website", 5, True, None, ["a", "b"], LONG)
TARGETS = ("group:default/one", "group:default/two", "system:default/one", "component:default/c0")
KINDS = ("Component", "API", "System")
KEYS = (
    "kind", "metadata.name", "metadata.namespace", "metadata.uid", "metadata.title", "metadata.tags",
    "metadata.tags.java", "metadata.labels.tier", "metadata.annotations.a.b/c", "metadata.labels", "metadata",
    "spec.type", "spec.lifecycle", "spec.nothing", "spec.deep.list", "spec.deep.list.k", "spec.number", "apiversion",
    "relations.ownedby", "relations.partof", "relations.dependson", "relations.none", "status.items", "nowhere",
)  # fmt: skip

words = st.sampled_from(WORDS)
mostly = st.sampled_from((True, True, True, False))
scalars = st.one_of(words, st.integers(-3, 3), st.booleans(), st.none(), st.just(LONG), st.just(1.5))
targets = st.sampled_from(TARGETS)
relations = st.lists(
    st.tuples(st.sampled_from(("ownedBy", "partOf", "dependsOn")), targets), max_size=3, unique=True
)


@st.composite
def documents(draw: st.DrawFn, number: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {"uid": str(uuid.UUID(int=draw(st.integers(0, 2**120)) * 16 + number))}
    if draw(mostly):
        metadata["title"] = draw(words)
    if draw(mostly):
        metadata["tags"] = draw(st.lists(words, max_size=3, unique_by=str.lower))
    if draw(mostly):
        metadata["labels"] = {"tier": draw(words)}
    if draw(mostly):
        metadata["annotations"] = {"a.b/c": draw(st.one_of(words, st.just(LONG)))}
    spec: dict[str, Any] = {}
    if draw(mostly):
        spec["type"] = draw(st.sampled_from(TYPES))
    if draw(mostly):
        spec["lifecycle"] = draw(words)
    if draw(mostly):
        spec["nothing"] = draw(st.one_of(st.none(), words))
    if draw(mostly):
        spec["deep"] = {
            "list": draw(st.lists(st.one_of(scalars, st.fixed_dictionaries({"k": scalars})), max_size=3))
        }
    if draw(mostly):
        spec["number"] = draw(st.one_of(st.integers(-3, 3), st.just(1.5)))
    return document(
        f"c{number}" if draw(st.booleans()) else f"C{number}",
        kind=draw(st.sampled_from(KINDS)),
        namespace=draw(st.sampled_from(("default", "ns1"))),
        spec=spec,
        relations=draw(relations),
        **metadata,
    )


def catalogs(most: int = 6) -> st.SearchStrategy[list[dict[str, Any]]]:
    return (
        st.integers(0, most).flatmap(lambda size: st.tuples(*(documents(i) for i in range(size)))).map(list)
    )


keys = st.sampled_from(KEYS)
lower_words = words.map(str.lower)
lower_values = st.one_of(
    lower_words,
    st.sampled_from(("component", "c1", "ns1", "default", "service", "5", "-1", "1.5", LONG)),
    targets,
)
pieces = st.one_of(lower_words, st.text(string.ascii_lowercase + "%_\\.", max_size=3))
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Has, keys),
    st.builds(Valued, keys),
    st.builds(Among, keys, st.lists(lower_values, max_size=3, unique=True).map(tuple)),
    st.builds(StartsWith, keys, pieces),
    st.builds(Contains, st.lists(keys, min_size=1, max_size=2, unique=True).map(tuple), pieces),
    st.builds(
        Related,
        st.sampled_from(("ownedby", "partof", "none")),
        st.one_of(st.none(), st.lists(targets, max_size=2, unique=True).map(tuple)),
    ),
    st.builds(
        Column,
        st.sampled_from(("owner", "system")),
        st.lists(st.one_of(targets, st.just("")), max_size=2, unique=True).map(tuple),
    ),
    st.builds(Column, st.just("state"), st.sampled_from((("active",), ("missing",), ("active", "orphaned")))),
    st.builds(Column, st.just("errors"), st.sampled_from((("true",), ("false",)))),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)

mixed_case = st.sampled_from(KEYS).flatmap(lambda key: st.sampled_from((key, key.upper(), key.title())))
json_scalars = st.one_of(
    words, st.sampled_from(("Component", "C1", "SERVICE")), st.integers(-3, 3), st.booleans(), st.just(1.5)
)
json_values = st.one_of(
    json_scalars,
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$in": st.lists(json_scalars, max_size=3)}),
    st.fixed_dictionaries({"$hasPrefix": pieces}),
    st.fixed_dictionaries({"$contains": json_scalars}),
)
related = st.fixed_dictionaries(
    {"type": st.sampled_from(("ownedBy", "OWNEDBY", "partOf", "none"))},
    optional={
        "targetRef": st.one_of(
            targets, targets.map(str.upper), st.fixed_dictionaries({"$in": st.lists(targets, max_size=2)})
        )
    },
)
json_leaves = st.one_of(
    st.dictionaries(mixed_case, json_values, max_size=2),
    st.fixed_dictionaries({"relations": st.fixed_dictionaries({"$contains": related})}),
)
predicates = st.recursive(
    json_leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"$any": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=5,
)
