"""Every answer is what plain Python finds by looking at whole documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.query import EntityQuery, Order, TextFilter, decode_stock_cursor, parse_filters, parse_predicate
from catalog.query.conditions import Condition
from catalog.query.predicates import to_predicate
from tests.catalog.query import oracle, strategies
from tests.catalog.query.examples import VIEWER, stored

pytestmark = pytest.mark.django_db
Catalog = list[dict[str, Any]]
many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(many, max_examples=40)


def found(query: EntityQuery) -> list[str]:
    return sorted(query.entities().values_list("ref", flat=True))


def uids(texts: list[str]) -> list[str]:
    return [orjson.loads(text)["metadata"]["uid"] for text in texts]


@many
@given(strategies.catalogs(), st.lists(strategies.conditions, min_size=1, max_size=3))
def test_a_condition_finds_what_fits_as_list_queryset_and_count(
    catalog: Catalog, asked: list[Condition]
) -> None:
    with stored(catalog):
        for condition in asked:
            expected = oracle.fitting(condition, catalog)
            query = EntityQuery(VIEWER, where=condition)
            assert found(query) == oracle.refs(expected)
            assert uids(query.document_page(50).texts) == sorted(d["metadata"]["uid"] for d in expected)
            assert query.count() == len(expected)
            assert sorted(query.documents_by_ref(oracle.refs(catalog))) == oracle.refs(expected)


@many
@given(strategies.catalogs(), strategies.predicates)
def test_a_predicate_means_what_it_says(catalog: Catalog, predicate: dict[str, Any]) -> None:
    expected = [document for document in catalog if oracle.predicate_matches(predicate, document)]
    with stored(catalog):
        assert found(EntityQuery(VIEWER, where=parse_predicate(predicate))) == oracle.refs(expected)


@given(strategies.predicates)
def test_a_predicate_survives_the_journey_through_a_cursor(predicate: dict[str, Any]) -> None:
    condition = parse_predicate(predicate)
    assert parse_predicate(to_predicate(condition)) == condition


blanks = st.sampled_from(("", " ", "  "))
statements = st.tuples(
    strategies.mixed_case, st.one_of(st.none(), st.sampled_from(("java", "JAVA", "", "c1", "42", "Service")))
)
filters = st.lists(st.lists(statements, max_size=4), max_size=3)


def written(filter_: list[tuple[str, str | None]], space: str) -> str:
    return ",".join(
        f"{space}{key}{space}" if value is None else f"{space}{key}{space}={space}{value}"
        for key, value in filter_
    )


def filter_matches(filter_: list[tuple[str, str | None]], document: dict[str, Any]) -> bool:
    for key in {key.lower() for key, _ in filter_}:
        wanted = [value.lower() for name, value in filter_ if name.lower() == key and value is not None]
        if wanted:
            if not oracle.values(document, key) & set(wanted):
                return False
        elif not any(name == key for name, _ in oracle.attributes(document)):
            return False
    return True


@many
@given(strategies.catalogs(), filters, blanks)
def test_the_filter_grammar_means_what_it_says(
    catalog: Catalog, asked: list[list[tuple[str, str | None]]], space: str
) -> None:
    said = [filter_ for filter_ in asked if filter_]
    expected = [d for d in catalog if not said or any(filter_matches(filter_, d) for filter_ in said)]
    with stored(catalog):
        query = EntityQuery(VIEWER, where=parse_filters([written(filter_, space) for filter_ in asked]))
        assert found(query) == oracle.refs(expected)


@many
@given(strategies.catalogs(), st.one_of(st.none(), strategies.keys), st.booleans(), st.data())
def test_pages_forth_and_back_are_the_whole_list_in_order(
    catalog: Catalog, key: str | None, descending: bool, data: st.DataObject
) -> None:
    order = None if key is None else Order(key, descending)
    expected = [uid for _, uid in oracle.listed(catalog, key, descending=descending and key is not None)]
    with stored(catalog):
        first = EntityQuery(VIEWER, order=order).document_page(data.draw(st.integers(1, 3)))
        assert first.total == len({*expected})
        seen, page, at = uids(first.texts), first, 0
        assert not first.previous_cursor
        while page.next_cursor:
            cursor = decode_stock_cursor(page.next_cursor)
            page = EntityQuery(VIEWER, order=cursor.order).document_page(
                data.draw(st.integers(1, 3)), cursor=cursor
            )
            at = len(seen)
            seen += uids(page.texts)
            assert page.previous_cursor
            assert page.total == first.total
        assert seen == expected
        while page.previous_cursor:
            cursor = decode_stock_cursor(page.previous_cursor)
            page = EntityQuery(VIEWER, order=cursor.order).document_page(
                data.draw(st.integers(1, 3)), cursor=cursor
            )
            size = len(page.texts)
            assert uids(page.texts) == expected[at - size : at]
            assert page.next_cursor
            at -= size
        assert at == 0


PORTAL_KEYS = {
    "label": None,
    "name": "metadata.name",
    "kind": "kind",
    "type": None,
    "lifecycle": None,
    "owner": "owner",
    "system": "system",
}


@few
@given(strategies.catalogs(), st.sampled_from(sorted(PORTAL_KEYS)), st.booleans(), st.integers(1, 3))
def test_the_portals_pages_leave_nothing_out_and_put_empty_values_last(
    catalog: Catalog, name: str, descending: bool, limit: int
) -> None:
    with stored(catalog):
        query = EntityQuery(VIEWER, order=f"-{name}" if descending else name)
        page = query.page(limit)
        seen = list(page.entities)
        while page.next_cursor:
            page = query.page(limit, cursor=page.next_cursor)
            assert page.previous_cursor
            seen += page.entities
        assert sorted(e.ref for e in seen) == oracle.refs(catalog)
        column = {"owner": "owner_ref", "system": "system_ref"}.get(name, name)
        values = [getattr(entity, column) for entity in seen]
        filled = [value for value in values if value is not None]
        assert values == [*filled, *[None] * (len(values) - len(filled))]
        assert filled == sorted(filled, reverse=descending)
        back = list(page.entities)
        while page.previous_cursor:
            page = query.page(limit, cursor=page.previous_cursor)
            back = [*page.entities, *back]
        assert [e.ref for e in back] == [e.ref for e in seen]


@few
@given(
    strategies.catalogs(),
    strategies.conditions,
    st.lists(strategies.keys, min_size=1, max_size=3, unique=True),
)
def test_facets_count_entities_by_value_as_written(
    catalog: Catalog, condition: Condition, keys: list[str]
) -> None:
    expected = oracle.fitting(condition, catalog)
    asked = list(dict.fromkeys([*keys, "relations.ownedby", "spec.type", "owner"]))
    with stored(catalog):
        counted = EntityQuery(VIEWER, where=condition).facets(asked)
        assert list(counted) == asked
        for key in asked:
            pairs = [(item.value, item.count) for item in counted[key]]
            assert dict(pairs) == oracle.counted(expected, key)
            assert [value for value, _ in pairs] == sorted(value for value, _ in pairs)


@few
@given(
    strategies.catalogs(),
    st.lists(st.builds(Order, strategies.keys, st.booleans()), min_size=1, max_size=2),
    st.integers(0, 3),
)
def test_the_plain_list_sorts_by_several_keys_with_empty_values_last(
    catalog: Catalog, orders: list[Order], offset: int
) -> None:
    expected = sorted(catalog, key=lambda d: d["metadata"]["uid"])
    for order in reversed(orders):
        extreme = max if order.descending else min
        best = {d["metadata"]["uid"]: extreme(oracle.values(d, order.key), default=None) for d in catalog}
        filled = [d for d in expected if best[d["metadata"]["uid"]] is not None]
        filled.sort(key=lambda d: best[d["metadata"]["uid"]], reverse=order.descending)
        expected = [*filled, *[d for d in expected if best[d["metadata"]["uid"]] is None]]
    with stored(catalog):
        query = EntityQuery(VIEWER)
        numbers, more = query.numbers_by_all(orders, limit=2, offset=offset)
        assert uids(query.texts(numbers)) == [d["metadata"]["uid"] for d in expected[offset : offset + 2]]
        assert more == (len(expected) > offset + 2)
        numbers, more = query.numbers_by_all(orders, limit=None, offset=offset)
        assert uids(query.texts(numbers)) == [d["metadata"]["uid"] for d in expected[offset:]]
        assert not more


@few
@given(strategies.catalogs(), strategies.pieces, st.lists(strategies.mixed_case, min_size=1, max_size=2))
def test_a_text_filter_is_a_substring_of_one_of_its_fields(
    catalog: Catalog, term: str, fields: list[str]
) -> None:
    sent = f" {term.upper()} "
    wanted = sent.strip().lower()
    expected = [
        d
        for d in catalog
        if not wanted or any(wanted in value for f in fields for value in oracle.values(d, f.lower()))
    ]
    with stored(catalog):
        assert found(EntityQuery(VIEWER, text=TextFilter(sent, tuple(fields)))) == oracle.refs(expected)
