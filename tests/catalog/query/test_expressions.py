"""A rule's expression finds in SQL what the CEL engine says of each entity, errors included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Entity
from catalog.query import EntityQuery
from catalog.query.conditions import Stands
from catalog.query.expressions import ENTITIES, TEXTS, Asker, condition_of, facts_of
from catalog.query.ownership import owned_by
from portal.core.errors import InputError
from tests.catalog.query import strategies
from tests.catalog.query.examples import VIEWER, stored
from tests.factories.catalog import document, store

pytestmark = pytest.mark.django_db
GROUPS = ("group:default/one",)
ASKER = Asker("user:default/me", GROUPS, False, lambda: owned_by(("user:default/me", *GROUPS)))

literals = st.sampled_from(["java", "a_b", "a%b", "", "x'; --", "straße", "éclair", "42", "service", "c0"])
fields = st.sampled_from(sorted(TEXTS))
maps = st.sampled_from(
    ["entity.labels['tier']", "entity.labels.tier", "entity.labels['none']", "entity.annotations['a.b/c']"]
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


atoms = st.one_of(
    st.builds(lambda f, op, v: f"{f} {op} {quoted(v)}", fields, st.sampled_from(["==", "!="]), literals),
    st.builds(lambda m, op, v: f"{m} {op} {quoted(v)}", maps, st.sampled_from(["==", "!="]), literals),
    st.builds(lambda v, m: f"{quoted(v)} == {m}", literals, maps),
    st.builds(
        lambda f, vs: f"{f} in [{', '.join(map(quoted, vs))}]", st.one_of(fields, maps), st.lists(literals, max_size=3)
    ),
    st.builds(lambda v: f"{quoted(v)} in entity.tags", literals),
    st.builds(lambda f, v: f"entity.name.{f}({quoted(v)})", st.sampled_from(["startsWith", "contains"]), literals),
    st.sampled_from(
        [
            "'tier' in entity.labels", "has(entity.labels.tier)", "has(entity.labels.none)",
            "entity.owner in viewer.groups",
            "entity.owner == viewer.ref", "viewer.curator", "true", "false", "entity.owned", "entity.owned == false",
            "viewer.ref == 'user:default/me'", "'group:default/two' in viewer.groups", "viewer.ref in viewer.groups",
            "entity.kind == 'component'", "entity.type == 'service'", "entity.system == 'system:default/one'",
        ]
    ),
)  # fmt: skip
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda a: f"!({a})", inner),
        st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from(["&&", "||"]), inner),
        st.builds(lambda c, a, b: f"(({c}) ? ({a}) : ({b}))", inner, inner, inner),
    ),
    max_leaves=6,
)


def facts(row: Entity, document: Mapping[str, Any]) -> dict[str, object]:
    metadata = document["metadata"]
    owners = {r["targetRef"] for r in document["relations"] if r["type"] == "ownedBy"}
    found = facts_of(
        {column: getattr(row, column) for column in TEXTS.values()},
        {
            f"entity.{name}": {k.lower(): v.lower() for k, v in metadata.get(name, {}).items()}
            for name in ("labels", "annotations")
        },
        [tag.lower() for tag in metadata.get("tags", [])],
    )
    mine = {"viewer.ref": ASKER.ref, "viewer.groups": list(ASKER.groups), "viewer.curator": False}
    return {**found, **mine, "entity.owned": not owners.isdisjoint({ASKER.ref, *ASKER.groups})}


@pytest.mark.req("R121")
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.catalogs(), st.lists(expressions, min_size=1, max_size=4))
def test_sql_and_the_engine_agree_about_every_entity(catalog: list[dict[str, Any]], texts: list[str]) -> None:
    with stored(catalog):
        rows = {row.ref: row for row in Entity.objects.unrestricted("test")}
        by_ref = {
            ref: facts(row, d)
            for ref, row, d in zip(rows, rows.values(), ordered(rows, catalog), strict=True)
        }
        for text in texts:
            program = ENTITIES.compile(text)
            found = EntityQuery(VIEWER, where=condition_of(program, ASKER)).entities()
            expected = {ref for ref, known in by_ref.items() if program.holds(known) is True}
            assert set(found.values_list("ref", flat=True)) == expected, text


def ordered(rows: Mapping[str, Entity], catalog: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_uid = {d["metadata"]["uid"]: d for d in catalog}
    return [by_uid[str(row.uid)] for row in rows.values()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("entity.kind == 'Component'", "Write 'component'."),
        ("'Java' in entity.tags", "Write 'java'."),
        ("entity.tags.exists(t, t.startsWith('x'))", "a macro over a list"),
        ("entity.name == entity.namespace", "=="),
        ("entity.name.endsWith('x')", "endsWith"),
        ("entity.type.startsWith('x')", "startsWith"),
        ("size(entity.tags) == 0", "=="),
        ("entity.kind.matches('x.*')", "matches"),
        ("entity.name == 'a\\u0000b'", "NUL"),
    ],
)
def test_what_the_database_cannot_be_asked_is_refused_when_it_is_saved(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        condition_of(ENTITIES.compile(text), ASKER)
    assert says in f"{caught.value.message} {caught.value.remedy}"
    assert caught.value.code == "access.rule.expression"


def test_an_expression_about_the_viewer_alone_is_decided_without_the_database() -> None:
    assert condition_of(ENTITIES.compile("viewer.ref == 'user:default/me' || entity.kind == 'x'"), ASKER) == (
        condition_of(ENTITIES.compile("true"), ASKER)
    )
    text = "'group:default/one' in viewer.groups && entity.kind == 'api'"
    assert condition_of(ENTITIES.compile(text), ASKER) == Stands("kind", ("api",))


def test_a_second_owner_owns_it_too() -> None:
    store(
        [
            document("mine", relations=[("ownedBy", "group:default/one")]),
            document("ours", relations=[("ownedBy", "group:default/a"), ("ownedBy", "group:default/one")]),
            document("theirs", relations=[("ownedBy", "group:default/a")]),
        ]
    )
    found = EntityQuery(VIEWER, where=owned_by(GROUPS)).entities()
    assert set(found.values_list("name", flat=True)) == {"mine", "ours"}
