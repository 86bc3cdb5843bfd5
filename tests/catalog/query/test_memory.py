"""What a process remembers, and when it forgets."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import DataVersion, Entity
from catalog.query import EntityQuery, parse_filters
from catalog.query import memory as module
from catalog.query.memory import ENTITIES, Memory, entities_version
from catalog.query.scope import scope_of
from portal.access import querysets
from portal.access.models import Membership
from portal.access.viewer import ANONYMOUS, Viewer
from tests.catalog.query.examples import VIEWER
from tests.factories.catalog import document, store


def test_an_answer_is_given_under_its_own_number_only() -> None:
    kept = Memory()
    kept.put(5, "a", "old", 3)
    assert kept.get(5, "a") == "old"
    assert kept.get(6, "a") is None
    assert kept.get(4, "a") is None
    assert kept.get(None, "a") is None


def test_a_new_number_forgets_everything_and_an_older_one_comes_too_late() -> None:
    kept = Memory()
    kept.put(5, "a", "old", 3)
    kept.put(6, "b", "new", 3)
    assert kept.get(5, "a") is None
    kept.put(5, "a", "late", 3)
    assert kept.get(5, "a") is None
    assert kept.get(6, "b") == "new"


def test_the_least_recently_used_goes_first_and_large_ones_are_not_kept() -> None:
    kept = Memory(capacity=3 * 1_400, largest=1_000)
    for name in "abc":
        kept.put(1, name, name, 1_000)
    assert kept.get(1, "a") == "a"
    kept.put(1, "d", "d", 1_000)
    assert kept.get(1, "b") is None
    assert [kept.get(1, name) for name in "acd"] == ["a", "c", "d"]
    kept.put(1, "e", "e", 1_001)
    assert kept.get(1, "e") is None


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abcd"), st.integers(0, 600)), max_size=40))
def test_the_size_is_that_of_what_is_kept_and_never_above_the_capacity(
    puts: list[tuple[int, str, int]],
) -> None:
    kept = Memory(capacity=2_000, largest=500)
    for version, key, size in puts:
        kept.put(version, key, key, size)
        assert kept.size == sum(entry.size for entry in kept._entries.values()) <= kept.capacity


@pytest.mark.django_db
def test_nothing_is_remembered_inside_a_transaction() -> None:
    store([document("a")])
    assert entities_version() is None


@pytest.mark.django_db(transaction=True)
def test_counts_and_facets_are_remembered_until_the_next_publication(django_assert_num_queries: Any) -> None:
    store([document("a", tags=["x"])])
    filters = parse_filters(["metadata.tags=x"])
    first = EntityQuery(VIEWER, where=filters)
    assert (first.count(), first.facets(["kind"])["kind"][0].count) == (1, 1)
    with django_assert_num_queries(2):  # the numbers of the last publication and of the last change to rules
        again = EntityQuery(VIEWER, where=filters)
        assert (again.count(), again.facets(["kind"])["kind"][0].count) == (1, 1)
    store([document("b", tags=["X"])])
    later = EntityQuery(VIEWER, where=filters)
    assert (later.count(), later.facets(["kind"])["kind"][0].count) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_numbers_that_begin_again_meet_an_empty_memory() -> None:
    store([document("a")])
    assert EntityQuery(VIEWER).count() == 1
    Entity.objects.all().delete()
    DataVersion.objects.filter(pk=ENTITIES).delete()
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")  # what flush and migrate end with
    store([document("a"), document("b")])
    assert EntityQuery(VIEWER).count() == 2


@pytest.mark.django_db
def test_viewers_who_see_the_same_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Viewer(actor="user:other", user_id=2)
    assert scope_of(VIEWER).key == scope_of(other).key
    assert scope_of(VIEWER).is_everything
    assert scope_of(ANONYMOUS).key != scope_of(VIEWER).key

    def policy(viewer: Viewer, action: str) -> Q:
        return Q(namespace=f"of-{viewer.user_id}") & ~Q(kind__in=("user", "group"))

    monkeypatch.setitem(querysets._policies, "catalog.entity", policy)
    keys = {scope_of(VIEWER).key, scope_of(other).key, scope_of(VIEWER).key}
    assert len(keys) == 2
    assert None not in keys


def test_what_depends_on_other_tables_is_never_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Membership.objects.unrestricted("test").values("group__ref")
    for condition in (Q(owner_ref__in=groups), Q(source__name="x")):
        monkeypatch.setitem(querysets._policies, "catalog.entity", lambda viewer, action, q=condition: q)
        assert scope_of(VIEWER).key is None
    monkeypatch.setitem(querysets._policies, "catalog.entity", lambda viewer, action: Q(attributes__key=1))
    assert scope_of(VIEWER).key is not None, "these change with a publication"


@pytest.mark.django_db(transaction=True)
def test_one_viewers_answer_is_not_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    store([document("a", namespace="of-1"), document("b", namespace="of-2"), document("c", namespace="of-2")])
    monkeypatch.setitem(
        querysets._policies, "catalog.entity", lambda viewer, action: Q(namespace=f"of-{viewer.user_id}")
    )
    for _ in range(2):
        assert EntityQuery(Viewer(actor="one", user_id=1)).count() == 1
        assert EntityQuery(Viewer(actor="two", user_id=2)).count() == 2
    assert module.memory.size
