"""Differences of documents: complete, minimal where order means nothing, and readable."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.diff import Change, apply_changes, diff_documents

NAMES = st.sampled_from(["a", "b", "tags", "links", "url", "dependsOn", "backstage.io/x", ""])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0]), st.sampled_from("abc")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
WORDS = st.lists(st.sampled_from("abcd") | SCALARS, max_size=4)
LINKS = st.lists(
    st.fixed_dictionaries(
        {"url": st.sampled_from(["x", "y", "z"])}, optional={"title": SCALARS, "icon": VALUES}
    )
    | SCALARS,
    max_size=3,
)
RELATIONS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from("pq"), "targetRef": st.sampled_from("rs")}), max_size=3
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"tags": WORDS, "links": LINKS, "name": SCALARS}),
        "spec": st.dictionaries(NAMES, VALUES, max_size=4)
        | st.fixed_dictionaries({"dependsOn": WORDS})
        | SCALARS,
        "relations": RELATIONS,
    },
)


def settled(document: dict[str, Any]) -> bytes:
    """Exact JSON in which the lists without order are sorted: an independent statement of what counts as equal."""

    def text(value: Any) -> bytes:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

    def sort(parent: Any, name: str, key: Any) -> None:
        items = parent.get(name) if isinstance(parent, dict) else None
        if isinstance(items, list):
            keys = [key(item) for item in items]
            if None not in keys and len(set(keys)) == len(keys):
                parent[name] = sorted(items, key=text)

    copied = orjson.loads(orjson.dumps(document))
    word = lambda item: item if isinstance(item, str) else None  # noqa: E731  (one of three keys, side by side)
    sort(copied.get("metadata"), "tags", word)
    sort(copied.get("spec"), "dependsOn", word)
    sort(copied.get("metadata"), "links", lambda item: item["url"] if isinstance(item, dict) else None)
    sort(copied, "relations", text)
    return text(copied)


@given(DOCUMENTS, DOCUMENTS)
def test_applied_changes_give_the_new_document(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = orjson.dumps(old)

    result = apply_changes(old, diff_documents(old, new))

    assert settled(result) == settled(new)
    assert orjson.dumps(old) == before  # nothing of the old one was touched


@given(DOCUMENTS, DOCUMENTS)
def test_there_is_no_change_exactly_where_documents_are_equal(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert (diff_documents(old, new) == []) == (settled(old) == settled(new))


@given(DOCUMENTS, DOCUMENTS)
def test_the_way_back_names_the_same_places(old: dict[str, Any], new: dict[str, Any]) -> None:
    there, back = diff_documents(old, new), diff_documents(new, old)

    opposite = {"added": "removed", "removed": "added", "changed": "changed"}
    assert {(c.path, c.kind) for c in there} == {(c.path, opposite[c.kind]) for c in back}


def test_tags_are_compared_as_a_set() -> None:
    old = {"metadata": {"tags": ["java", "web", "old"]}}
    new = {"metadata": {"tags": ["web", "new", "java"]}}

    assert diff_documents(old, new) == [
        Change(("metadata", "tags", "old"), "removed", old="old"),
        Change(("metadata", "tags", "new"), "added", new="new"),
    ]


def test_tags_that_repeat_are_compared_by_position() -> None:
    old = {"metadata": {"tags": ["a", "a"]}}
    new = {"metadata": {"tags": ["a"]}}

    assert diff_documents(old, new) == [Change(("metadata", "tags", 1), "removed", old="a")]


def test_links_are_compared_by_their_address() -> None:
    old = {"metadata": {"links": [{"url": "https://a", "title": "A"}, {"url": "https://b"}]}}
    new = {"metadata": {"links": [{"url": "https://b"}, {"url": "https://a", "title": "Handbook"}]}}

    (change,) = diff_documents(old, new)

    assert change == Change(("metadata", "links", "https://a", "title"), "changed", "A", "Handbook")
    assert change.field == 'metadata.links["https://a"].title'


def test_relation_fields_of_other_kinds_can_be_named() -> None:
    old = {"spec": {"runsOn": ["a", "b"]}}
    new = {"spec": {"runsOn": ["b", "a"]}}

    assert len(diff_documents(old, new)) == 2
    assert diff_documents(old, new, unordered=[("spec", "runsOn")]) == []


def test_true_is_not_one() -> None:
    assert diff_documents({"spec": {"a": True}}, {"spec": {"a": 1}}) == [
        Change(("spec", "a"), "changed", True, 1)
    ]


def test_a_new_branch_is_one_change() -> None:
    assert diff_documents({}, {"spec": {"profile": {"email": "a@b.example"}}}) == [
        Change(("spec",), "added", new={"profile": {"email": "a@b.example"}})
    ]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (Change(("a",), "added", new=None), {"path": ["a"], "field": "a", "kind": "added", "new": None}),
        (
            Change(("a", 0), "removed", old=1),
            {"path": ["a", 0], "field": "a[0]", "kind": "removed", "old": 1},
        ),
        (
            Change(("a", 'x "y"'), "changed", 1, 2),
            {"path": ["a", 'x "y"'], "field": 'a["x \\"y\\""]', "kind": "changed", "old": 1, "new": 2},
        ),
    ],
)
def test_changes_as_json_have_the_values_that_exist(change: Change, shown: dict[str, Any]) -> None:
    assert change.as_json() == shown


def test_a_change_of_another_document_is_refused() -> None:
    with pytest.raises(LookupError, match="java"):
        apply_changes(
            {"metadata": {"tags": []}}, [Change(("metadata", "tags", "java"), "removed", old="java")]
        )
