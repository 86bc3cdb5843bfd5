"""How what is asked most is found: by columns and indexes where these say all, found whole where few rows fit."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Entity, Relation
from catalog.query import EntityQuery, Order, TextFilter
from catalog.query.conditions import FEW, All, Among, AnyOf, Not, Related, names_relation
from tests.catalog.query.examples import VIEWER
from tests.factories.catalog import document, store

pytestmark = pytest.mark.django_db


def names(query: EntityQuery) -> list[str]:
    return sorted(query.entities().values_list("name", flat=True))


@pytest.mark.parametrize(
    ("kind", "target", "column"),
    [("ownedBy", "group:default/pay", "owner_ref"), ("partOf", "system:default/till", "system_ref")],
)
def test_entities_of_an_owner_or_system_are_found_by_their_column_while_that_says_all(
    kind: str, target: str, column: str
) -> None:
    """The column has the smallest target only; whoever has it as a second one, or from others, has to be found, too."""
    other = target.split("/")[0] + "/a-smaller-name"
    store(
        [
            document("one", relations=[(kind, target)]),
            document("none"),
            document("else", relations=[(kind, other)]),
        ]
    )
    by_relation = Related(kind.lower(), (target,))

    def found() -> tuple[list[str], bool]:
        query = EntityQuery(VIEWER, where=by_relation)
        with CaptureQueriesContext(connection) as seen:
            texts = query.document_page(10).texts
        assert query.count() == len(texts)
        assert len(names(EntityQuery(VIEWER, where=Not(by_relation)))) == Entity.objects.count() - len(texts)
        listing = seen[-1]["sql"]
        return sorted(orjson.loads(text)["metadata"]["name"] for text in texts), f"e.{column} =" in listing

    assert found() == (["one"], True)
    (second,) = store([document("second", relations=[(kind, target), (kind, other)])])
    assert found() == (["one", "second"], False)
    Entity.objects.filter(pk=second.pk).delete()
    Relation.objects.unrestricted("test").filter(source_ref=second.ref).delete()
    assert found() == (["one"], True)
    none = Entity.objects.get(name="none")
    declarer = Entity.objects.get(name="else")
    Relation.objects.create(origin=declarer, source_ref=none.ref, type=kind, target_ref=target)
    assert found() == (["none", "one"], False)
    Relation.objects.create(origin=declarer, source_ref=none.ref, type=kind.upper(), target_ref=target)
    assert found() == (["none", "one"], False)


def test_names_and_titles_are_searched_as_labels_and_a_title_too_long_to_be_searched_is_not() -> None:
    store(
        [
            document("with-a-needle"),
            document("titled", title="A Needle"),
            document("long", title=f"needle {'x' * 193}"),
            document("too-long", title=f"needle {'x' * 194}"),
            document("too-wide", title="needle " + "\U0001f9f5" * 97),  # two UTF-16 units each
            document("described", description="needle"),
        ]
    )
    both = TextFilter("needle", ("metadata.name", "metadata.title"))
    assert names(EntityQuery(VIEWER, text=both)) == ["long", "titled", "with-a-needle"]
    title = TextFilter("needle", ("metadata.title",))
    assert names(EntityQuery(VIEWER, text=title)) == ["long", "titled"]


def test_a_list_of_one_owner_is_found_whole_before_it_is_sorted() -> None:
    """Else PostgreSQL walks the order through the whole catalog until a page of a small team is full."""
    one = All((Among("kind", ("component",)), Among("relations.ownedby", ("group:default/pay",))))
    assert names_relation(one)
    assert names_relation(Related("ownedby", ("group:default/pay",)))
    many = tuple(f"group:default/{n}" for n in range(FEW + 1))
    for other in (
        Among("kind", ("component",)),
        Related("ownedby"),
        Related("ownedby", many),
        AnyOf((one,)),
        Not(one),
    ):
        assert not names_relation(other)


def test_the_first_page_of_a_list_that_is_found_whole_counts_it_too() -> None:
    pay = [("ownedBy", "group:default/pay")]
    store([document(name, relations=pay) for name in "abcd"])

    def page(**asked: Any) -> tuple[int, list[str], int]:
        where = Among("relations.ownedby", ("group:default/pay",))
        query = EntityQuery(VIEWER, where=where, order=Order("metadata.name", True))
        query._learned([query.condition], ["metadata.name"])
        with CaptureQueriesContext(connection) as seen:
            found = query.document_page(**asked)
        return found.total, [orjson.loads(t)["metadata"]["name"] for t in found.texts], len(seen)

    assert page(limit=3) == (4, ["d", "c", "b"], 1)
    assert page(limit=3, offset=3) == (4, ["a"], 1)
    assert page(limit=3, offset=4) == (4, [], 2)
    assert page(limit=0) == (4, [], 1)
    assert page(limit=3, with_total=False) == (0, ["d", "c", "b"], 1)


@pytest.mark.database("postgresql")
def test_names_with_letters_that_few_have_are_found_before_they_are_sorted() -> None:
    store([document(f"common-{number}") for number in range(30)] + [document("rare")])

    def statement(term: str) -> str:
        text = TextFilter(term, ("metadata.name", "metadata.title"))
        query = EntityQuery(VIEWER, text=text, order=Order("metadata.name", False))
        with CaptureQueriesContext(connection) as seen:
            assert query.document_page(8, with_total=False).texts
        return seen[-1]["sql"]

    assert "WITH q AS MATERIALIZED" in statement("rare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("catalog.query.lists.SORTED_SOON", 0)
        assert "MATERIALIZED" not in statement("common")
    assert "MATERIALIZED" not in statement("om"), "the index knows no two letters"
