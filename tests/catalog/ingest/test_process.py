"""One document to one entity: what is filled in, what is refused, and how a problem reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.ingest.problems import Rejected
from catalog.ingest.rules import AllowRules
from catalog.kinds import KindRegistry, shipped_annotations, shipped_rows
from catalog.refs import LocationRef
from tests.catalog.ingest.engine import FILE, ROOT, SPEC, component, problems_of, process

# --- what is filled in


def test_namespace_and_annotations_are_filled_in() -> None:
    processed = process(component())
    assert (processed.ref, processed.kind, processed.namespace, processed.name) == (
        "component:default/one",
        "Component",
        "default",
        "one",
    )
    assert processed.entity["metadata"] == {
        "name": "one",
        "namespace": "default",
        "annotations": {
            "backstage.io/managed-by-location": str(FILE),
            "backstage.io/managed-by-origin-location": str(ROOT),
            "backstage.io/view-url": FILE.target,
            "backstage.io/edit-url": FILE.target.replace("/blob/", "/edit/"),
            "backstage.io/source-location": "url:https://github.com/acme/shop/tree/main/dir/",
        },
    }
    assert list(processed.entity) == ["apiVersion", "kind", "metadata", "spec"]


def test_the_authors_addresses_win_and_the_places_do_not() -> None:
    value = component()
    value["metadata"]["annotations"] = {
        "backstage.io/managed-by-location": "url:https://evil.example/a.yaml",
        "backstage.io/view-url": "https://view.example",
        "backstage.io/edit-url": "",
        "backstage.io/source-location": "url:https://src.example/",
    }
    annotations = process(value).entity["metadata"]["annotations"]
    assert annotations["backstage.io/managed-by-location"] == str(FILE)
    assert annotations["backstage.io/view-url"] == "https://view.example"
    assert annotations["backstage.io/edit-url"] == ""
    assert annotations["backstage.io/source-location"] == "url:https://src.example/"


def test_a_file_on_disk_has_no_addresses() -> None:
    place = LocationRef("file", "/srv/catalog/a.yaml")
    annotations = process(component(), location=place, origin=place).entity["metadata"]["annotations"]
    assert annotations == {
        "backstage.io/managed-by-location": "file:/srv/catalog/a.yaml",
        "backstage.io/managed-by-origin-location": "file:/srv/catalog/a.yaml",
    }


def test_the_document_is_not_changed() -> None:
    value = component(dependsOn=["resource:b", "resource:a"], definition={"$text": "./x"})
    value["metadata"]["annotations"] = {"a": "b"}
    before = json.dumps(value)
    process(value, read=lambda place: b"text")
    assert json.dumps(value) == before


def test_lists_of_references_are_sorted_as_javascript_sorts() -> None:
    processed = process(
        component(providesApis=["zz", "aa", "Mm", "10", "9", "ö", "😀", "\uffff"], tags=["b", "a"])
    )
    assert processed.entity["spec"]["providesApis"] == ["10", "9", "Mm", "aa", "zz", "ö", "😀", "\uffff"]
    assert processed.entity["spec"]["tags"] == ["b", "a"]
    assert process(component(dependencyOf="api:x")).entity["spec"]["dependencyOf"] == "api:x"


def test_relations_go_both_ways_and_inherit_the_namespace() -> None:
    value = component(owner="user:default/Jane", system="Sys", dependsOn=["component:one", "component:one"])
    value["metadata"]["namespace"] = "ns1"
    assert list(process(value).relations) == [
        ("component:ns1/one", "dependencyOf", "component:ns1/one"),
        ("component:ns1/one", "dependsOn", "component:ns1/one"),
        ("component:ns1/one", "ownedBy", "user:default/jane"),
        ("component:ns1/one", "partOf", "system:ns1/sys"),
        ("system:ns1/sys", "hasPart", "component:ns1/one"),
        ("user:default/jane", "ownerOf", "component:ns1/one"),
    ]


def test_a_prototype_key_is_lost_at_every_level() -> None:
    value = component(nested={"__proto__": {"a": 1}, "b": [{"__proto__": 1}]})
    value["__proto__"] = {"polluted": True}
    entity = process(value).entity
    assert "__proto__" not in entity and entity["spec"]["nested"] == {"b": [{}]}


# --- kinds that stock refuses without further modules


@pytest.mark.req("R005")
def test_an_mcp_server_is_an_api_without_definition() -> None:
    remotes = [{"type": "streamable-http", "url": "https://x.example"}]
    value = component(type="mcp-server", remotes=remotes)
    value["kind"] = "API"
    assert process(value).ref == "api:default/one"
    value["spec"]["remotes"] = []
    assert [problem.rule for problem in problems_of(value)] == ["catalog.schema.minItems"]
    value["spec"] = {**SPEC, "type": "openapi"}
    assert "'definition'" in problems_of(value)[0].message


@pytest.mark.parametrize(
    ("spec", "missing", "relations"),
    [
        ({"type": "skill", "dependsOn": ["other"]}, [], [("dependsOn", "airesource:default/other")]),
        ({"type": "rule"}, ["category", "rationale"], []),
        ({"type": "rule", "category": "x", "rationale": "y"}, [], []),
        ({"type": "plugin", "skills": ["s"]}, [], [("hasPart", "airesource:default/s")]),
        ({"type": "plugin"}, ["skills"], []),
        ({"type": "marketplace", "plugins": ["p"]}, [], [("hasPart", "airesource:default/p")]),
        ({"type": "agent", "plugins": ["p"]}, [], []),
    ],
)
def test_ai_resources(spec: dict[str, Any], missing: list[str], relations: list[tuple[str, str]]) -> None:
    value = component(**spec)
    value["kind"] = "AiResource"
    if missing:
        assert [name for name in missing if f"'{name}'" not in str(problems_of(value))] == []
        return
    own = [(r.type, r.target) for r in process(value).relations if r.source == "airesource:default/one"]
    assert own == [*relations, ("ownedBy", "group:default/team-a")]


def test_a_kind_added_at_run_time_is_accepted() -> None:
    row = {
        "kind": "Dataset",
        "versions": [{"api_version": "acme.io/v1", "schema": {"required": ["spec"]}}],
        "relations": [
            {
                "path": "spec.steward",
                "relation": "stewardedBy",
                "reverse": "stewardOf",
                "default_kind": "User",
                "default_namespace": "default",
            }
        ],
    }
    registry = KindRegistry.from_rows([*shipped_rows(), row])
    value = {
        "apiVersion": "acme.io/v1",
        "kind": "Dataset",
        "metadata": {"name": "d", "namespace": "x"},
        "spec": {"steward": "jo"},
    }
    processed = process(value, registry=registry)
    assert ("dataset:x/d", "stewardedBy", "user:default/jo") in processed.relations
    assert problems_of(value)[0].rule == "catalog.kind.unknown"


# --- all problems at once


def test_all_violations_are_told_and_the_first_is_stocks() -> None:
    value = component(owner=5, dependsOn=["x"], lifecycle=None)
    value["metadata"].update(tags=["Node.js"], title="", labels={"a b": "x"})
    value.update(foo=1, relations=[])
    rules = [problem.rule for problem in problems_of(value)]
    assert rules == [
        "catalog.structure.unknown-field",
        "catalog.structure.minLength",
        "catalog.structure.foreign-field",
        "catalog.format.label-key",
        "catalog.format.tag",
        "catalog.schema.type",
        "catalog.schema.type",
        "catalog.relation.no-kind",
    ]


def test_envelope_problems_are_told_together() -> None:
    assert [p.rule for p in problems_of({})] == ["catalog.envelope.required"] * 3
    value = {"apiVersion": "", "kind": 5, "metadata": {"namespace": None, "annotations": []}}
    assert [p.path for p in problems_of(value)] == [
        "/apiVersion",
        "/kind",
        "/metadata",
        "/metadata/namespace",
        "/metadata/annotations",
    ]
    assert {p.error_name for p in problems_of(value)} == {"TypeError", "Error"}


def test_a_kind_in_another_case_or_in_the_plural_is_corrected() -> None:
    for written in ("component", "COMPONENT", "components"):
        value = {**component(), "kind": written}
        (problem,) = problems_of(value)
        assert problem.rule == "catalog.kind.unknown" and problem.remedy == "Write Component."
    (problem,) = problems_of({**component(), "apiVersion": "backstage.io/v1"})
    assert problem.rule == "catalog.kind.unknown-version" and "backstage.io/v1alpha1" in problem.remedy


def test_a_kind_that_the_source_may_not_bring_is_refused() -> None:
    user = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "User",
        "metadata": {"name": "u"},
        "spec": {"memberOf": []},
    }
    rules = AllowRules.default(KindRegistry.shipped())
    assert [p.rule for p in problems_of(user, rules=rules)] == ["catalog.kind.not-allowed"]
    assert process(component(), rules=rules).ref


# --- vocabulary


def test_unknown_and_outdated_annotations_and_tags_are_warned() -> None:
    value = component()
    value["metadata"].update(
        tags=["java", "cobol"],
        annotations={
            "github.com/project-slug": "a/b",
            "github.com/project_slug": "a/b",
            "jenkins.io/github-folder": "x",
            "acme.io/x": "y",
        },
    )
    registry = KindRegistry.from_rows(shipped_rows(), annotations=shipped_annotations(), tags=["java"])
    warnings = process(value, registry=registry).warnings
    assert [(w.rule, w.path) for w in warnings] == [
        ("catalog.annotation.unknown", "/metadata/annotations/github.com~1project_slug"),
        ("catalog.annotation.alias", "/metadata/annotations/jenkins.io~1github-folder"),
        ("catalog.annotation.unknown", "/metadata/annotations/acme.io~1x"),
        ("catalog.tag.unknown", "/metadata/tags/1"),
    ]
    assert {w.severity for w in warnings} == {"warning"}
    assert warnings[0].fix is not None and warnings[0].fix.text == "github.com/project-slug"


# --- bad input


@pytest.mark.parametrize(
    "value",
    [
        component(x="\x00"),
        component(**{"a\x00b": 1}),
        component(x="\ud800"),
        component(x=2**70),
        component(x=json.loads("[" * 300 + "]" * 300)),
        component(x=json.loads('{"a":' * 900 + "1" + "}" * 900)),
    ],
)
def test_what_cannot_be_stored_is_refused(value: Any) -> None:
    assert problems_of(value)[0].rule == "catalog.document.not-storable"


def test_a_backslash_before_u0000_is_only_text() -> None:
    assert process(component(x="\\u0000")).entity["spec"]["x"] == "\\u0000"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "labels",
    "annotations",
    "tags",
    "links",
    "owner",
    "type",
    "dependsOn",
    "dependencyOf",
    "system",
    "targets",
    "target",
    "memberOf",
    "children",
    "steps",
]


@settings(deadline=None)
@given(st.data())
def test_no_value_makes_processing_fail(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KindRegistry.shipped().kinds)))
    value = {**component(), "kind": kind}
    if kind == "Template":
        value["apiVersion"] = "scaffolder.backstage.io/v1beta3"
    for _ in range(data.draw(st.integers(1, 4))):
        target = data.draw(st.sampled_from([value, value.get("metadata"), value.get("spec")]))
        if isinstance(target, dict):
            target[data.draw(st.sampled_from(FIELDS))] = data.draw(json_values)
    try:
        processed = process(value)
    except Rejected as rejected:
        assert rejected.problems
        assert all(p.rule.startswith("catalog.") and p.message for p in rejected.problems)
        return
    assert processed.ref == processed.ref.lower()
    for source, _, target in processed.relations:
        assert processed.ref in (source, target)
