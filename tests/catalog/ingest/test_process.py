"""One document to one entity: what is filled in, what is refused, and how a problem reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.ingest.documents import Outcome, process_file
from catalog.ingest.hosts import Host, Hosts
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, process_document
from catalog.ingest.rules import AllowRules
from catalog.kinds import KindRegistry, shipped_annotations, shipped_rows
from catalog.refs import LocationRef
from portal.core.errors import NotFoundError

FILE = LocationRef("url", "https://github.com/acme/shop/blob/main/dir/catalog-info.yaml")
ROOT = LocationRef("url", "https://github.com/acme/all/blob/main/all.yaml")
HOSTS = Hosts([Host("git.example.com", "gitea")])
SPEC = {"type": "service", "lifecycle": "production", "owner": "team-a"}


def nothing_to_read(place: LocationRef) -> bytes:
    raise NotFoundError(f"{place.target} is not there", remedy="Look elsewhere.")


def component(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "one"},
        "spec": {**SPEC, **spec},
    }


def process(
    value: Any, *, read: Callable[[LocationRef], bytes] = nothing_to_read, **options: Any
) -> Processed:
    settings: dict[str, Any] = {
        "location": FILE,
        "origin": ROOT,
        "registry": KindRegistry.shipped(),
        "hosts": HOSTS,
        "read_placeholder": read,
    }
    return process_document(value, **{**settings, **options})


def problems_of(value: Any, **options: Any) -> list[Problem]:
    with pytest.raises(Rejected) as caught:
        process(value, **options)
    return caught.value.problems


def outcomes(text: str | bytes, **options: Any) -> list[Outcome]:
    settings: dict[str, Any] = {
        "location": FILE,
        "origin": FILE,
        "registry": KindRegistry.shipped(),
        "hosts": HOSTS,
        "read_placeholder": nothing_to_read,
    }
    return list(process_file(text.encode() if isinstance(text, str) else text, **{**settings, **options}))


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


# --- placeholders


def test_placeholders_are_replaced_anywhere_and_told() -> None:
    files = {"a.txt": b"text", "b.json": b'{"x": [1.0, 2e400]}', "c.yaml": b"on: yes\n"}
    value = component(
        a={"$text": "./a.txt"},
        deep=[{"b": {"$json": "b.json"}}],
        c={"$yaml": "./c.yaml"},
        again={"$text": "a.txt"},
    )
    value["metadata"]["annotations"] = {"x.io/y": {"$text": "/dir/a.txt"}}
    processed = process(value, read=lambda place: files[place.target.rpartition("/")[2]])
    assert processed.entity["spec"]["a"] == "text"
    assert processed.entity["spec"]["deep"] == [{"b": {"x": [1, None]}}]
    assert processed.entity["spec"]["c"] == {"on": "yes"}
    assert processed.entity["metadata"]["annotations"]["x.io/y"] == "text"
    base = "https://github.com/acme/shop/tree/main/dir"
    assert [p.target for p in processed.placeholders] == [f"{base}/a.txt", f"{base}/b.json", f"{base}/c.yaml"]


def test_what_only_looks_like_a_placeholder_stays() -> None:
    spec = {
        "unknown": {"$foo": {"$text": "./x"}},
        "two": {"$text": "./x", "other": 1},
        "ref": {"$ref": "#/a"},
    }
    assert process(component(**spec)).entity["spec"] == {**SPEC, **spec}


@pytest.mark.parametrize(
    ("placeholder", "data", "rule"),
    [
        ({"$text": 5}, b"", "not-text"),
        ({"$text": "./gone"}, None, "unreadable"),
        ({"$json": "./x"}, b"{", "json"),
        ({"$json": "./x"}, b"NaN", "json"),
        ({"$json": "./x"}, b"[" * 100_000, "json"),
        ({"$yaml": "./x"}, b"a: [", "yaml"),
        ({"$yaml": "./x"}, b"a: 1\n---\nb: 1", "yaml-documents"),
        ({"$yaml": "./x"}, b"", "yaml-documents"),
        ({"$text": "https://github.com/other/repo/blob/main/x"}, b"", "other-repository"),
        ({"$text": "../../../../../o/r/blob/main/x"}, b"", "other-repository"),
        ({"$text": "file:///etc/passwd"}, b"", "unresolvable"),
        ({"$text": "ssh://h/x"}, b"", "unresolvable"),
        ({"$text": "https://github.com/acme/shop/blob/main/%2e%2e/x"}, b"", "unresolvable"),
    ],
)
def test_a_failing_placeholder_is_one_problem_at_its_place(
    placeholder: Any, data: bytes | None, rule: str
) -> None:
    def read(place: LocationRef) -> bytes:
        return nothing_to_read(place) if data is None else data

    value = component(type="openapi", definition=placeholder)
    value["kind"] = "API"
    (problem,) = problems_of(value, read=read)
    key = next(iter(placeholder))
    assert (problem.rule, problem.path) == (f"catalog.placeholder.{rule}", f"/spec/definition/{key}")
    assert problem.remedy and problem.error_name == "InputError"


def test_a_failing_placeholder_does_not_hide_other_problems() -> None:
    rules = [p.rule for p in problems_of(component(owner={"$text": "./gone"}, lifecycle=5))]
    assert rules == ["catalog.placeholder.unreadable", "catalog.schema.type"]


def test_placeholders_of_a_file_on_disk_are_seen_from_it() -> None:
    seen: list[LocationRef] = []

    def read(place: LocationRef) -> bytes:
        seen.append(place)
        return b"x"

    place = LocationRef("file", "/srv/catalog/dir/a.yaml")
    process(
        component(a={"$text": "./x"}, b={"$text": "../../../../y"}, c={"$text": "https://h.example/z"}),
        location=place,
        read=read,
    )
    assert seen == [("file", "/srv/catalog/dir/x"), ("file", "/y"), ("url", "https://h.example/z")]
    (problem,) = problems_of(component(a={"$text": "/etc/passwd"}), location=place)
    assert problem.rule == "catalog.placeholder.unresolvable"


# --- Locations


def location(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": "l"},
        "spec": spec,
    }


def test_targets_are_absolute_and_in_order() -> None:
    processed = process(
        location(
            target="./a.yaml",
            targets=["../b.yaml", "/c.yaml", "https://x.example/d.yaml"],
            presence="optional",
        )
    )
    base = "https://github.com/acme/shop/tree/main"
    assert [str(target) for target in processed.targets] == [
        f"url:{base}/dir/a.yaml",
        f"url:{base}/b.yaml",
        f"url:{base}/c.yaml",
        "url:https://x.example/d.yaml",
    ]
    assert processed.presence == "optional"
    assert process(location()).targets == ()


def test_a_location_read_from_an_address_cannot_name_files() -> None:
    for kind in ("file", "github"):
        (problem,) = problems_of(location(type=kind, target="/etc/passwd"))
        assert problem.rule == "catalog.location.type" and '["url"]' in problem.message


def test_a_location_on_disk_names_files_seen_from_it() -> None:
    place = LocationRef("file", "/srv/catalog/all.yaml")
    processed = process(location(targets=["./a.yaml", "dir/*.yaml", "/other/b.yaml"]), location=place)
    assert processed.targets == (
        ("file", "/srv/catalog/a.yaml"),
        ("file", "/srv/catalog/dir/*.yaml"),
        ("file", "/other/b.yaml"),
    )
    (target,) = process(location(type="url", target="https://h.example/x.yaml"), location=place).targets
    assert target == ("url", "https://h.example/x.yaml")


def test_a_script_is_no_target() -> None:
    (problem,) = problems_of(location(target="javascript:alert(1)"))
    assert problem.rule == "catalog.location.target"


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


# --- places and corrected lines

DESCRIPTOR = """\
# a comment
---
apiVersion: backstage.io/v1alpha1
kind: component
metadata:
  name: my service
  tags: [ok, 'Node.js']
  annotations:
    Acme.io/x: "1"
    acme.io/y: 5
spec:
  type: service
  lifecycle:
  dependsOn: component:x
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: two}
spec: {type: service, lifecycle: x}
"""


def test_every_problem_has_its_line_and_the_line_as_it_could_read() -> None:
    first, second = outcomes(DESCRIPTOR)
    assert [(p.rule.removeprefix("catalog."), p.line, p.corrected_line) for p in first.problems] == [
        ("structure.type", 10, '    acme.io/y: "5"'),
        ("format.name", 6, "  name: my-service"),
        ("format.annotation-key", 9, '    acme.io/x: "1"'),
        ("format.tag", 7, "  tags: [ok, 'node-js']"),
        ("kind.unknown", 4, "kind: Component"),
    ]
    assert first.problems[1].source_line == "  name: my service" and first.problems[1].column == 9
    assert {p.url for p in first.problems} == {FILE.target} and {p.document for p in first.problems} == {0}
    assert (first.ref, first.line) == ("component:default/my service", 1)
    (missing,) = second.problems
    assert (missing.document, missing.line) == (1, 19)
    assert missing.corrected_line == "spec: {type: service, lifecycle: x, owner: team-a}"


def test_the_kind_is_checked_against_its_schema_once_it_is_right() -> None:
    outcome, _ = outcomes(DESCRIPTOR.replace("kind: component", "kind: Component"))
    schema = [p for p in outcome.problems if p.rule.startswith("catalog.schema")]
    assert [(p.rule, p.line, p.corrected_line) for p in schema] == [
        ("catalog.schema.required", 11, "  owner: team-a"),
        ("catalog.schema.type", 13, ""),
        ("catalog.schema.type", 14, "  dependsOn: [component:x]"),
    ]


def test_the_line_to_add_is_indented_like_its_neighbours() -> None:
    (outcome,) = outcomes(
        "kind: Component\napiVersion: backstage.io/v1alpha1\nmetadata:\n    title: x\nspec: {}\n"
    )
    (problem,) = outcome.problems
    assert (problem.line, problem.corrected_line) == (3, "    name: my-service")


def test_a_problem_is_json() -> None:
    (outcome, _) = outcomes(DESCRIPTOR)
    body = json.loads(json.dumps(outcome.problems[0].as_dict()))
    assert body["rule"] == "catalog.structure.type" and body["line"] == 10 and "fix" not in body


def test_a_broken_document_leaves_the_others_alone() -> None:
    good = "apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {name: NAME}\nspec: {owner: x}\n"
    results = outcomes(
        f"{good.replace('NAME', 'a')}---\na: [1\n---\n- list\n---\n{good.replace('NAME', 'b')}"
    )
    assert [(o.index, o.ref, [p.rule for p in o.problems]) for o in results] == [
        (0, "system:default/a", []),
        (1, "", ["catalog.yaml.syntax"]),
        (2, "", ["catalog.envelope.not-object"]),
        (3, "system:default/b", []),
    ]


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


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(0, len(DESCRIPTOR)))
def test_no_text_makes_reading_a_file_fail(text: str, position: int) -> None:
    data = (DESCRIPTOR[:position] + text + DESCRIPTOR[position:]).encode("utf-8", "surrogatepass")
    for outcome in outcomes(data):
        assert outcome.processed is not None or outcome.problems
        assert all(problem.url == FILE.target for problem in outcome.problems)
