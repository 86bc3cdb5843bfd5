"""Rules of the questions, one by one; ``test_against_oracle`` holds them all against each other."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Entity
from catalog.query import (
    EntityQuery,
    Order,
    TextFilter,
    decode_stock_cursor,
    equals,
    parse_filters,
    parse_predicate,
)
from catalog.query.conditions import (
    EVERYTHING,
    NOTHING,
    Among,
    AnyOf,
    Has,
    Not,
    any_of,
)
from catalog.query.memory import memory
from catalog.query.predicates import matches_row
from portal.access import querysets
from portal.access.viewer import ANONYMOUS
from portal.core.errors import InputError
from portal.core.paging import encode_cursor
from portal.core.querysets import guarded_reads
from portal.core.remember import remembering
from tests.catalog.query.examples import VIEWER
from tests.factories.catalog import document, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalog() -> list[Entity]:
    """A few entities that differ in what the rules are about."""
    return store(
        [
            document(
                "plain",
                spec={"type": "service", "lifecycle": "production"},
                tags=["java", "go"],
                title="Plain 100%",
            ),
            document("other", spec={"type": "Service", "list": ["Go", "go", 3]}, title="under_score"),
            document("number", spec={"type": 5, "nothing": None}, title="underXscore"),
            document("several", spec={"type": ["service", "x"]}, title="back\\slash"),
            document("empty", spec={"type": "", "nothing": ""}),
            document(
                "shop",
                kind="API",
                relations=[("ownedBy", "group:default/one"), ("ownedBy", "group:default/two")],
            ),
        ]
    )


def names(query: EntityQuery) -> list[str]:
    return sorted(query.entities().values_list("name", flat=True))


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["spec.type=service"], ["other", "plain", "several"]),
        (["spec.type=5"], ["number"]),
        (["spec.type="], ["empty"]),
        (["spec.type"], ["empty", "number", "other", "plain", "several"]),
        (["spec.type=service,spec.type=5"], ["number", "other", "plain", "several"]),
        (["spec.nothing"], ["empty", "number"]),
        (["spec.nothing="], ["empty"]),
        (["spec.nothing=null"], []),
        (["kind=api", "metadata.tags=java"], ["plain", "shop"]),
        (["relations.ownedBy=group:default/two"], ["shop"]),
        (["relations.ownedBy=two"], []),
        (["metadata.name=\0"], []),
        (["relations.\0", "\0=1", "metadata.uid=\0"], []),
        ([], ["empty", "number", "other", "plain", "several", "shop"]),
        ([" , ", "kind=api"], ["shop"]),
    ],
)
def test_a_filter_finds(filters: list[str], expected: list[str]) -> None:
    query = EntityQuery(VIEWER, where=parse_filters(filters))
    assert names(query) == expected
    assert query.count() == len(expected)


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("term", "expected"),
    [("%", ["plain"]), ("R_S", ["other"]), ("k\\s", ["several"]), ("'", []), ("\0", []), ("  ", 6)],
)
def test_signs_of_patterns_stand_for_themselves(term: str, expected: list[str] | int) -> None:
    query = EntityQuery(VIEWER, text=TextFilter(term, ("metadata.title",)))
    assert query.count() == (expected if isinstance(expected, int) else len(expected))
    if not isinstance(expected, int):
        assert names(query) == expected
        prefix = parse_predicate({"metadata.title": {"$hasPrefix": term}})
        assert names(EntityQuery(VIEWER, where=prefix)) == []


@pytest.mark.usefixtures("catalog")
def test_two_writings_of_one_value_are_one_row_of_a_sorted_list() -> None:
    query = EntityQuery(VIEWER, where=parse_filters(["metadata.name=other"]), order=Order("spec.list"))
    assert len(query.document_page(10).texts) == 2  # 3 and go
    assert len(query.numbers()) == 2
    assert query.count() == 1


@pytest.mark.usefixtures("catalog")
def test_a_relation_that_both_ends_declare_counts_once() -> None:
    shop = Entity.objects.get(name="shop")
    plain = Entity.objects.get(name="plain")
    shop.declared_relations.filter(target_ref="group:default/one").first()
    plain.declared_relations.create(source_ref=shop.ref, type="ownedBy", target_ref="group:default/one")
    query = EntityQuery(VIEWER, order=Order("relations.ownedby"))
    assert len(query.document_page(10).texts) == 2
    assert [c.count for c in query.facets(["relations.ownedBy"])["relations.ownedBy"]] == [1, 1]


def test_a_filter_without_a_key_is_refused() -> None:
    with pytest.raises(InputError, match="no key"):
        parse_filters(["kind=api,=x"])


@pytest.mark.parametrize(
    "filters", [["a=1"] * 501, [",".join(f"k{i}" for i in range(501))], [",".join(["k=1"] * 1001)]]
)
def test_a_filter_of_thousands_of_statements_is_refused(filters: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        parse_filters(filters)
    assert refused.value.code == "catalog.filter.size"


def test_the_widest_filter_is_answered(catalog: list[Entity]) -> None:
    wide = parse_filters([f"spec.k{i}=v,spec.type=service" for i in range(499)] + ["metadata.name=plain"])
    assert names(EntityQuery(VIEWER, where=wide)) == ["plain"]
    many = any_of(*(Has(f"spec.type{i}") for i in range(499)), Has("spec.type"))
    store([document("x", spec={f"type{i}": 1 for i in range(499)})])
    assert "x" in names(EntityQuery(VIEWER, where=many))


def deep(levels: int) -> dict[str, Any]:
    predicate: dict[str, Any] = {"kind": "component"}
    for _ in range(levels):
        predicate = {"$not": predicate}
    return predicate


@pytest.mark.usefixtures("catalog")
def test_a_predicate_may_be_forty_levels_deep_and_no_deeper() -> None:
    assert len(names(EntityQuery(VIEWER, where=parse_predicate(deep(40))))) == 5
    with pytest.raises(InputError) as refused:
        parse_predicate(deep(41))
    assert refused.value.code == "catalog.query.size"


@pytest.mark.parametrize(
    "predicate",
    [
        [],
        "kind",
        None,
        1,
        {"kind": None},
        {"kind": ["a"]},
        {"kind": {}},
        {"kind": {"$gt": 1}},
        {"kind": {"$exists": "yes"}},
        {"kind": {"$in": "a"}},
        {"kind": {"$in": [None]}},
        {"kind": {"$hasPrefix": 1}},
        {"kind": {"$contains": None}},
        {"$all": {}},
        {"$any": "x"},
        {"$not": []},
        {"$all": [1]},
        {"$nor": []},
        {"$all": [], "kind": "x"},
        {"kind": "x", "$not": {}},
        {"$all": [], "$any": []},
        {"metadata.tags": {"$contains": {"a": 1}}},
        {"relations": {"$contains": {"targetRef": "x"}}},
        {"relations": {"$contains": {"type": 1}}},
        {"relations": {"$contains": {"type": "a", "x": 1}}},
        {"relations": {"$contains": {"type": "a", "targetRef": 1}}},
        {"relations": {"$contains": {"type": "a", "targetRef": {"$in": [1]}}}},
        {"relations": {"$contains": {"type": "a", "targetRef": {"$in": [], "x": 1}}}},
    ],
)
def test_a_malformed_predicate_is_refused_with_its_place(predicate: Any) -> None:
    with pytest.raises(InputError) as refused:
        parse_predicate(predicate)
    assert refused.value.code == "catalog.query.shape"
    assert refused.value.remedy


def test_of_two_operators_the_first_that_fits_counts() -> None:
    assert parse_predicate({"kind": {"$in": ["a"], "$exists": True}}) == Has("kind")
    assert parse_predicate({"kind": {"$exists": "x", "$in": ["A", 1, True, 1e21]}}) == Among(
        "kind", ("a", "1", "true", "1e+21")
    )


def test_empty_logic_matches_all_or_nothing() -> None:
    assert parse_predicate({}) == parse_predicate({"$all": []}) == EVERYTHING
    assert parse_predicate({"$any": []}) == NOTHING


def test_alternatives_of_one_key_become_one_comparison() -> None:
    joined = any_of(equals("Kind", "A"), equals("kind", "b"), AnyOf((Among("kind", ("a", "c")), Has("x"))))
    assert joined == AnyOf((Among("kind", ("a", "b", "c")), Has("x")))


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ({}, True),
        ({"type": "URL"}, True),
        ({"target": {"$hasPrefix": "HTTP://a"}}, True),
        ({"$not": {"type": "url"}}, False),
        ({"id": {"$exists": True}}, True),
        ({"$any": [{"id": "2"}, {"id": {"$in": ["1"]}}]}, True),
        ({"id": {"$exists": False}}, False),
    ],
)
def test_a_predicate_over_a_flat_row(predicate: dict[str, Any], expected: bool) -> None:
    assert matches_row(predicate, {"id": "1", "type": "url", "target": "http://A/b"}) is expected


def test_a_predicate_over_a_flat_row_knows_its_fields() -> None:
    with pytest.raises(InputError) as refused:
        matches_row({"foo": "x"}, {"id": "1"})
    assert refused.value.code == "catalog.query.field"


# --- access


def test_nobody_sees_nothing_and_counts_nothing(catalog: list[Entity]) -> None:
    query = EntityQuery(ANONYMOUS)
    assert (names(query), query.count(), query.document_page(10).texts) == ([], 0, [])
    assert query.facets(["kind", "owner"]) == {"kind": [], "owner": []}
    assert query.documents_by_ref([entity.ref for entity in catalog]) == {}
    assert query.page(10).entities == []


@pytest.mark.usefixtures("catalog")
def test_a_narrowed_viewer_gets_lists_counts_and_facets_of_what_is_visible_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.db.models import Q

    monkeypatch.setitem(querysets._policies, "catalog.entity", lambda viewer, action: Q(kind="api"))
    query = EntityQuery(VIEWER, where=Not(Has("nowhere")))
    assert names(query) == ["shop"]
    assert query.count() == 1
    assert len(query.document_page(10).texts) == 1
    assert len(query.numbers()) == 1
    assert query.numbers_by_all([], limit=10, offset=0)[0] == query.numbers()
    assert [(c.value, c.count) for c in query.facets(["kind"])["kind"]] == [("API", 1)]
    assert EntityQuery(VIEWER).facets(["spec.type"]) == {"spec.type": []}
    assert list(query.documents_by_ref(["component:default/plain", "api:default/shop"])) == [
        "api:default/shop"
    ]


# --- statements


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("ask", "statements"),
    [
        (lambda q: q.count(), 2),
        (lambda q: q.document_page(2), 3),
        (lambda q: q.document_page(2, with_total=False), 2),
        (lambda q: q.page(2), 2),
        (
            lambda q: q.facets(
                ["kind", "spec.type", "owner", "state", "metadata.tags", "metadata.uid"], apart=True
            ),
            2,
        ),
        (lambda q: q.facets(["kind", "relations.ownedby"]), 3),
        (lambda q: q.documents_by_ref(["component:default/plain"]), 2),
    ],
)
def test_each_question_costs_one_statement_and_one_for_the_words_in_it(ask: Any, statements: int) -> None:
    with remembering(), guarded_reads(), CaptureQueriesContext(connection) as seen:
        ask(EntityQuery(VIEWER, include={"kind": ["component"], "spec.type": ["service"]}))
    assert len(seen) == 1 + statements, [q["sql"] for q in seen]  # and one for the rules


@pytest.mark.django_db(transaction=True)
def test_lengths_of_several_lists_are_counted_together_and_remembered(catalog: list[Entity]) -> None:
    memory.forget()
    query = EntityQuery(VIEWER, include={"kind": ["component"], "spec.type": ["service"]}, text="a")
    others = [
        EntityQuery(VIEWER, include={"kind": ["component"]}, version=query.version),
        EntityQuery(VIEWER, include={"spec.type": ["none-such"]}, version=query.version),
        EntityQuery(VIEWER, text="a", version=query.version),
    ]
    assert query.lengths_of([]) == []
    with CaptureQueriesContext(connection) as seen:
        lengths = query.lengths_of(others)
    assert len(seen) == 2  # the words, and the counts
    with CaptureQueriesContext(connection) as seen:
        assert query.lengths_of(others[::-1]) == lengths[::-1]
        assert lengths == [other.count() for other in others]
    assert len(seen) == 0


# --- cursors


def cursor(**changes: Any) -> str:
    body = {
        "orderFields": [],
        "orderFieldValues": ["0" * 8],
        "firstSortFieldValues": [],
        "isPrevious": False,
        "totalItems": 1,
    }
    return encode_cursor({key: value for key, value in {**body, **changes}.items() if value is not ...})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "!!!",
        "eyJhIjoxfQ==",
        encode_cursor([1]),
        encode_cursor(None),
        "A" * 300_000,
        cursor(orderFields=...),
        cursor(orderFields=[{"field": "kind"}]),
        cursor(orderFields=["kind"]),
        cursor(orderFieldValues=[1]),
        cursor(orderFieldValues={}),
        cursor(firstSortFieldValues="x"),
        cursor(isPrevious="yes"),
        cursor(totalItems="1"),
        cursor(totalItems=True),
        cursor(query=[]),
        cursor(query={"kind": None}),
        cursor(query=deep(60)),
        cursor(fullTextFilter="x"),
        cursor(fullTextFilter={"term": 1}),
        cursor(fullTextFilter={"term": "x", "fields": [1]}),
    ],
)
def test_a_cursor_that_nobody_gave_out_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        decode_stock_cursor(text)
    assert refused.value.code == "cursor.malformed"


@pytest.mark.parametrize(
    "values", [["no uid"], ["x", "y"], [], [None], ["\0"], ["ABCDEF00-0000-4000-8000-000000000000"]]
)
def test_a_position_that_does_not_exist_in_the_order_is_refused(values: list[Any]) -> None:
    at = decode_stock_cursor(cursor(orderFieldValues=values))
    with pytest.raises(InputError) as refused:
        EntityQuery(VIEWER, order=at.order).document_page(5, cursor=at)
    assert refused.value.code == "cursor.malformed"


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("order", "body"),
    [
        ("label", {"order": "name", "at": ["a", "b"], "back": False}),
        ("label", {"order": "label", "at": ["a"], "back": False}),
        ("label", {"order": "label", "at": [1, "b"], "back": False}),
        ("label", {"order": "label", "at": ["\0", "b"], "back": False}),
        ("label", {"order": "label", "at": [None, "b"], "back": False}),
        ("label", {"order": "label", "at": ["a", "b"], "back": 1}),
        ("changed_at", {"order": "changed_at", "at": ["yesterday", "b"], "back": False}),
        ("", {"order": "", "at": ["x"], "back": True}),
        ("label", []),
        ("label", "x"),
    ],
)
def test_a_portal_cursor_of_another_list_is_refused(order: str, body: Any) -> None:
    with pytest.raises(InputError) as refused:
        EntityQuery(VIEWER, order=order).page(5, cursor=encode_cursor(body))
    assert refused.value.code == "cursor.malformed"


@pytest.mark.usefixtures("catalog")
def test_changed_at_pages_forth_and_back() -> None:
    query = EntityQuery(VIEWER, order="-changed_at")
    first = query.page(4, with_documents=True)
    second = query.page(4, cursor=first.next_cursor)
    assert len(first.entities) + len(second.entities) == 6
    assert orjson.loads(first.entities[0].document.text)["kind"]
    assert query.page(4, cursor=second.previous_cursor).entities == first.entities
    assert not second.next_cursor
    assert not first.previous_cursor


def test_an_unknown_word_for_an_order_is_a_defect_of_the_caller() -> None:
    with pytest.raises(KeyError):
        EntityQuery(VIEWER, order="colour")
    with pytest.raises(TypeError):
        EntityQuery(VIEWER, order=Order("kind")).page(5)
    with pytest.raises(TypeError):
        EntityQuery(VIEWER, order="label").document_page(5)


@pytest.mark.usefixtures("catalog")
def test_facets_apart_leave_out_their_own_filter() -> None:
    query = EntityQuery(VIEWER, include={"KIND": ["api"], "owner": ["group:default/one"]})
    assert [c.value for c in query.facets(["kind"])["kind"]] == ["API"]
    apart = query.facets(["kind", "owner"], apart=True)
    assert [(c.value, c.count) for c in apart["kind"]] == [("API", 1)]
    assert [
        (c.value, c.count)
        for c in EntityQuery(VIEWER, include={"kind": ["api"]}).facets(["kind"], apart=True)["kind"]
    ] == [
        ("API", 1),
        ("Component", 5),
    ]
