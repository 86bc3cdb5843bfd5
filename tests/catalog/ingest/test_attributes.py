"""What is searchable: keys and values as stock makes them from an entity."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.ingest.attributes import flatten
from catalog.ingest.problems import Rejected


def entity(spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "Svc-B", "namespace": "ns1", **metadata},
        "spec": spec or {},
    }


def rows(value: dict[str, Any], key: str) -> list[tuple[str | None, str | None]]:
    return [(lowered, original) for k, lowered, original in flatten(value) if k == key]


def test_keys_and_values_are_lower_case_and_the_original_stays() -> None:
    value = entity({"Type": "Service"}, title="Mixed Case")
    assert rows(value, "metadata.title") == [("mixed case", "Mixed Case")]
    assert rows(value, "spec.type") == [("service", "Service")]
    assert rows(value, "kind") == [("component", "Component")]
    assert rows(value, "apiversion") == [("backstage.io/v1alpha1", "backstage.io/v1alpha1")]


def test_name_namespace_and_uid_are_always_there() -> None:
    value = entity(uid="written", etag="written")
    found = flatten(value, uid="11111111-1111-4111-8111-111111111111")
    assert ("metadata.name", "svc-b", "Svc-B") in found and ("metadata.namespace", "ns1", "ns1") in found
    uid = "11111111-1111-4111-8111-111111111111"
    assert [row for row in found if row[0] in ("metadata.uid", "metadata.etag")] == [
        ("metadata.uid", uid, uid)
    ]


def test_every_element_stands_under_the_key_of_its_list() -> None:
    nested = {"Deep": ["x", {"y": 1}, 3, None, [True, "z"]]}
    keys = {(k, v) for k, v, _ in flatten(entity({"nested": nested})) if k.startswith("spec.")}
    assert keys == {
        ("spec.nested.deep", "x"),
        ("spec.nested.deep.x", "true"),
        ("spec.nested.deep.y", "1"),
        ("spec.nested.deep", "3"),
        ("spec.nested.deep", None),
        ("spec.nested.deep", "true"),
        ("spec.nested.deep", "z"),
        ("spec.nested.deep.z", "true"),
    }


def test_only_leaves_make_rows() -> None:
    keys = {key for key, _, _ in flatten(entity({"a": {}, "b": [], "c": {"d": {}}}))}
    assert keys == {"apiversion", "kind", "metadata.name", "metadata.namespace"}


def test_null_and_long_values_exist_without_a_value() -> None:
    value = entity(
        {"none": None, "exact": "v" * 200, "over": "W" * 201, "wide": "😀" * 101, "narrow": "ä" * 200}
    )
    assert rows(value, "spec.none") == [(None, None)]
    assert rows(value, "spec.exact") == [("v" * 200, "v" * 200)]
    assert rows(value, "spec.over") == [(None, None)]
    assert rows(value, "spec.wide") == [(None, None)], "JavaScript counts UTF-16 units"
    assert rows(value, "spec.narrow") == [("ä" * 200, "ä" * 200)]


def test_long_keys_are_dropped() -> None:
    assert rows(entity({"x" * 195: "a"}), f"spec.{'x' * 195}") == [("a", "a")]
    assert rows(entity({"x" * 196: "a"}), f"spec.{'x' * 196}") == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (42, "42"),
        (1.5, "1.5"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        ("", ""),
        (0, "0"),
    ],
)
def test_scalars_are_written_as_javascript_writes_them(value: object, text: str) -> None:
    assert rows(entity({"x": value}), "spec.x") == [(text, text)]


def test_relations_status_and_attachments_of_the_document_are_left_out() -> None:
    value = {**entity(), "relations": [{"type": "a"}], "status": {"items": []}, "attachments": {"a": "b"}}
    found = flatten(value, [("ownedBy", "group:default/team-a")])
    assert {key for key, _, _ in found} == {
        "apiversion",
        "kind",
        "metadata.name",
        "metadata.namespace",
        "relations.ownedby",
    }
    assert ("relations.ownedby", "group:default/team-a", "group:default/team-a") in found


def test_dots_and_slashes_of_keys_just_become_part_of_them() -> None:
    value = entity(annotations={"backstage.io/orphan": "true"})
    assert rows(value, "metadata.annotations.backstage.io/orphan") == [("true", "true")]


def test_a_repeated_element_is_one_row() -> None:
    assert rows(entity({"x": ["a", "a", "A"]}), "spec.x") == [("a", "a"), ("a", "A")]
    assert rows(entity({"x": ["a", "a", "A"]}), "spec.x.a") == [("true", "true")]


def test_two_keys_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(Rejected) as caught:
        flatten(entity(annotations={"x.io/Aa": "one", "x.io/aA": "two"}))
    (problem,) = caught.value.problems
    assert problem.rule == "catalog.attribute.case"
    assert "metadata.annotations.x.io/Aa and metadata.annotations.x.io/aA" in problem.message
    with pytest.raises(Rejected):
        flatten(entity({"tags": ["Java"], "tags.java": "x"}))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=250),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=210), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=10), json_values, max_size=4))
def test_rows_are_distinct_and_within_the_limits(spec: dict[str, Any]) -> None:
    try:
        found = flatten(entity(spec))
    except Rejected:
        return
    assert len(set(found)) == len(found)
    for key, value, original in found:
        assert key == key.lower() and len(key.encode("utf-16-le", "surrogatepass")) <= 400
        assert (value is None) == (original is None)
        if value is not None and original is not None:
            assert value == original.lower() and len(value) <= 200
