"""Which parts of a document ``fields`` keeps."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.query import parse_fields
from portal.core.errors import InputError

DOCUMENT: dict[str, Any] = {
    "kind": "Component",
    "metadata": {
        "name": "shop",
        "tags": ["a", "b", "c"],
        "annotations": {"example.com/URL": "x", "a.b": {"c.d": 1}},
        "links": [{"url": "u"}],
        "nothing": None,
    },
    "spec": {"a": {"b": 1}, "a.c": 2, ".": {"": 3}},
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["kind"], {"kind": "Component"}),
        ([" kind , metadata.name "], {"kind": "Component", "metadata": {"name": "shop"}}),
        (["kind", "metadata.name"], {"kind": "Component", "metadata": {"name": "shop"}}),
        (["Kind"], {}),
        (["kind.length"], {}),
        (["metadata.nothing"], {"metadata": {"nothing": None}}),
        (["metadata.annotations.example.com/URL"], {"metadata": {"annotations": {"example.com/URL": "x"}}}),
        (["metadata.annotations.a.b.c.d"], {"metadata": {"annotations": {"a.b": {"c.d": 1}}}}),
        (["metadata.tags.0"], {"metadata": {"tags": ["a"]}}),
        (["metadata.tags.2"], {"metadata": {"tags": [None, None, "c"]}}),
        (["metadata.tags.0,metadata.tags.1"], {"metadata": {"tags": ["a", "b"]}}),
        (["metadata.tags.3,metadata.tags.01,metadata.tags.-1,metadata.tags.x"], {}),
        (["metadata.links.url"], {}),
        (["metadata.links.0.url"], {"metadata": {"links": [{"url": "u"}]}}),
        (["spec.a.b"], {"spec": {"a": {"b": 1}}}),
        (["spec.a.c"], {}),  # "a" is a key, so the search goes on inside it
        (["metadata.name,metadata"], {"metadata": DOCUMENT["metadata"]}),
        (["metadata,metadata.name"], {"metadata": DOCUMENT["metadata"]}),
        (["."], {}),
    ],
)
def test_a_projection_keeps(fields: list[str], expected: dict[str, Any]) -> None:
    projection = parse_fields(fields)
    assert projection is not None
    before = copy.deepcopy(DOCUMENT)
    assert projection.apply(DOCUMENT) == expected
    assert before == DOCUMENT


def test_no_path_means_everything() -> None:
    assert parse_fields([]) is None
    assert parse_fields([" , "]) is None


def test_brackets_are_refused() -> None:
    with pytest.raises(InputError) as refused:
        parse_fields(["metadata.tags[0]"])
    assert refused.value.code == "catalog.fields.bracket"


json_values = st.recursive(
    st.one_of(st.none(), st.integers(0, 3), st.text("ab.", max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab.0", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
paths = st.lists(st.text("ab.0", min_size=1, max_size=5), min_size=1, max_size=3)


@given(st.dictionaries(st.text("ab.0", max_size=3), json_values, max_size=3), paths)
def test_a_projection_never_changes_its_source(document: dict[str, Any], wanted: list[str]) -> None:
    projection = parse_fields(wanted)
    assert projection is not None
    before = copy.deepcopy(document)
    projection.apply(document)
    assert document == before


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), json_values, min_size=1, max_size=3))
def test_naming_every_root_gives_the_whole_document(document: dict[str, Any]) -> None:
    projection = parse_fields([",".join(document)])
    assert projection is not None
    assert projection.apply(document) == document
