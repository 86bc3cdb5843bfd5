"""References: the grammar of stock, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.refs import (
    EntityRef,
    LocationRef,
    RefError,
    canonical,
    is_script_url,
    parse_location_ref,
    parse_ref,
)


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "name"),
    [
        ("component:default/shop", "component", "default", "shop"),
        ("shop", "Group", "ns1", "shop"),
        ("user:jane", "user", "ns1", "jane"),
        ("ops/jane", "Group", "ops", "jane"),
        ("a/b/c", "Group", "a", "b/c"),
        ("group:ns/x:y", "group", "ns", "x:y"),
        ("ns/x:y", "Group", "ns", "x:y"),
        ("a:b:c", "a", "ns1", "b:c"),
        ("  spaced name ", "Group", "ns1", "  spaced name "),
        ("Group:Default/Über", "Group", "Default", "Über"),
    ],
)
def test_a_reference_is_read_as_stock_reads_it(text: str, kind: str, namespace: str, name: str) -> None:
    ref = parse_ref(text, default_kind="Group", default_namespace="ns1")
    assert ref == EntityRef(kind, namespace, name)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "catalog.ref.empty"),
        (None, "catalog.ref.empty"),
        (":a", "catalog.ref.shape"),
        ("group:", "catalog.ref.shape"),
        ("ops/", "catalog.ref.shape"),
        ("/a", "catalog.ref.shape"),
        ("group:/a", "catalog.ref.shape"),
        (":ns/a", "catalog.ref.shape"),
        (5, "catalog.ref.no-kind"),
        ({"kind": "Group", "name": "a"}, "catalog.ref.no-kind"),
    ],
)
def test_a_bad_reference_says_what_is_wrong(text: object, code: str) -> None:
    with pytest.raises(RefError) as caught:
        parse_ref(text, default_kind="Group")
    assert caught.value.code == code
    assert caught.value.remedy


def test_without_a_default_the_kind_is_mandatory() -> None:
    with pytest.raises(RefError, match="has no kind"):
        parse_ref("shop")
    with pytest.raises(RefError, match="has no namespace"):
        parse_ref("component:shop", default_namespace=None)


def test_the_canonical_text_is_lower_case_and_complete() -> None:
    assert canonical("Component", "NS1", "Svc-B") == "component:ns1/svc-b"
    assert str(parse_ref("Component:NS1/Svc-B")) == "component:ns1/svc-b"


part = st.text(st.characters(exclude_characters=":/", codec="utf-8"), min_size=1, max_size=10)


@settings(deadline=None)
@given(part, part, st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_three_parts_are_read_back(kind: str, namespace: str, name: str) -> None:
    assert parse_ref(f"{kind}:{namespace}/{name}") == EntityRef(kind, namespace, name)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_an_explained_error(text: str) -> None:
    try:
        ref = parse_ref(text, default_kind="Component")
    except RefError as error:
        assert error.code in ("catalog.ref.empty", "catalog.ref.shape")
        return
    assert all(ref)
    # The canonical text is stable: reading it again changes nothing, but where lower-casing is not.
    again = parse_ref(ref.canonical)
    assert again.canonical == ref.canonical.lower()


def test_location_references() -> None:
    assert parse_location_ref("url:https://h/a.yaml") == LocationRef("url", "https://h/a.yaml")
    assert parse_location_ref(" file : /a b ") == LocationRef("file", "/a b")
    assert str(LocationRef("url", "https://h")) == "url:https://h"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nothing", "shape"),
        ("url:", "shape"),
        (":x", "shape"),
        ("", "shape"),
        ("https://h/a", "bare-url"),
        ("http:x", "bare-url"),
        ("url:javascript:alert(1)", "script"),
        ("url: \x01jAva\nscript:alert(1)", "script"),
        ("url:java\tscript :x".replace(" ", ""), "script"),
    ],
)
def test_bad_location_references(text: str, code: str) -> None:
    with pytest.raises(RefError) as caught:
        parse_location_ref(text)
    assert caught.value.code == f"catalog.location-ref.{code}"
    assert caught.value.stock_name == "TypeError"


def test_script_addresses_are_recognised_in_disguise() -> None:
    assert (
        is_script_url("javascript:x")
        and is_script_url("  JAVASCRIPT:x")
        and is_script_url("j\na\tv\rascript:x")
    )
    assert not is_script_url("https://h/javascript:x") and not is_script_url("java script:x")
