"""Field formats: the table of the catalog format, and the corrections that problems offer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.ingest import formats


@pytest.mark.parametrize(
    "text", ["v1", "backstage.io/v1alpha1", "a--b.c/x", "a" * 63, f"{'a' * 63}.b/{'Z' * 63}"]
)
def test_api_versions(text: str) -> None:
    assert formats.is_api_version(text)


@pytest.mark.parametrize(
    "text", ["", "/", "a/", "/v1", "A.io/v1", "a/b/c", "a_b/v1", "v-1", "a" * 64, "a.io/v1\n", "-a/v1"]
)
def test_no_api_versions(text: str) -> None:
    assert not formats.is_api_version(text)


def test_kinds() -> None:
    assert all(map(formats.is_kind, ["A", "Component", "a1", "A" * 63]))
    assert not any(map(formats.is_kind, ["", "1a", "A-b", "Ä", "A" * 64, "A\n"]))


def test_names() -> None:
    assert all(map(formats.is_name, ["a", "9", "a..b_c-D", "A" * 63]))
    assert not any(
        map(formats.is_name, ["", "-a", "a-", "a b", "a/b", "a:b", "straße", "a" * 64, "a\n", "."])
    )


def test_namespaces() -> None:
    assert all(map(formats.is_dns_label, ["a", "a--b", "1a", "a" * 63]))
    assert not any(map(formats.is_dns_label, ["", "A", "a.b", "a_b", "-a", "a-", "a" * 64, "a\n"]))


def test_label_and_annotation_keys() -> None:
    assert all(map(formats.is_key, ["a", "a.io/B", "a-b.c/d_e.f", f"{'a.' * 126}a/b"]))
    assert not any(
        map(
            formats.is_key,
            ["", "/", "a/", "/a", "A.io/b", "a/b/c", "a b", f"{'a.' * 127}a/b", f"a.io/{'k' * 64}"],
        )
    )


def test_tags() -> None:
    assert all(map(formats.is_tag, ["java", "c++", "c#", "a:b", "1", "a-b-c", "t" * 63]))
    assert not any(
        map(formats.is_tag, ["", "a--b", "-a", "a-", "node.js", "Java", "a b", "a_b", "é", "t" * 64, "a\n"])
    )


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", fullmatch=True))
def test_every_text_of_the_rule_is_a_name(text: str) -> None:
    assert formats.is_name(text)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_a_corrected_tag_is_a_tag(text: str) -> None:
    corrected = formats.corrected_tag(text)
    assert corrected == "" or formats.is_tag(corrected)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_a_corrected_name_is_a_name(text: str) -> None:
    corrected = formats.corrected_name(text)
    assert corrected == "" or formats.is_name(corrected)


def test_corrections_read_like_the_original() -> None:
    assert formats.corrected_tag("Node.js") == "node-js"
    assert formats.corrected_tag("Größe XL") == "grosse-xl"
    assert formats.corrected_name("ECS Dev Environment") == "ECS-Dev-Environment"


def entity(**metadata: object) -> dict[str, object]:
    base = {"name": "one", "namespace": "default"}
    return {"apiVersion": "a.io/v1", "kind": "Component", "metadata": {**base, **metadata}}


def test_all_violations_are_told_in_stocks_order() -> None:
    value = entity(
        name="a b",
        namespace="X",
        labels={"a b": "c d"},
        annotations={"A.b/c": "x"},
        tags=["ok", "No"],
        links=[{"url": "nope", "title": " "}],
    )
    value["apiVersion"], value["kind"] = "a/b/c", "1x"
    problems = formats.check_formats(value)
    assert [problem.path for problem in problems] == [
        "/apiVersion",
        "/kind",
        "/metadata/name",
        "/metadata/namespace",
        "/metadata/labels/a b",
        "/metadata/labels/a b",
        "/metadata/annotations/A.b~1c",
        "/metadata/tags/1",
        "/metadata/links/0/url",
        "/metadata/links/0/title",
    ]
    assert all(problem.remedy and problem.error_name == "InputError" for problem in problems)


def test_values_of_other_types_are_left_to_the_structure() -> None:
    value = entity(labels=[1], annotations="x", tags={"a": 1}, links=["x", None])
    assert formats.check_formats(value) == []
    assert formats.check_formats(entity(labels={"a": 5}, tags=[5, None], links=[{"url": 5}])) == []
