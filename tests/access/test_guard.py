"""Inside a request no row of a restricted model is read before somebody said for whom."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery

from portal.access.models import Membership, Principal, Token, User
from portal.access.viewer import ANONYMOUS, Viewer
from portal.core.querysets import GuardedQuerySet, UnscopedReadError, guarded_reads
from tests.factories.access import GroupFactory, MembershipFactory, PrincipalFactory, TokenFactory

pytestmark = pytest.mark.django_db
MEMBER = Viewer(actor="user:member", user_id=1)


async def _all(rows: Any) -> list[Any]:
    return [row async for row in rows]


READS: dict[str, Callable[[GuardedQuerySet[Principal]], Any]] = {
    "iteration": list,
    "length": len,
    "truth": bool,
    "membership in": lambda q: object() in q,
    "index": lambda q: q[0],
    "slice": lambda q: list(q[:1]),
    "get": lambda q: q.get(pk=1),
    "first": lambda q: q.first(),
    "last": lambda q: q.last(),
    "earliest": lambda q: q.earliest("pk"),
    "latest": lambda q: q.latest("pk"),
    "values": lambda q: list(q.values("ref")),
    "values_list": lambda q: list(q.values_list("ref", flat=True)),
    "named values": lambda q: list(q.values_list("ref", named=True)),
    "count": lambda q: q.count(),
    "exists": lambda q: q.exists(),
    "contains": lambda q: q.contains(Principal(pk=1)),
    "aggregate": lambda q: q.aggregate(n=Count("pk")),
    "aggregate over groups": lambda q: q.values("kind").annotate(n=Count("pk")).aggregate(most=Count("n")),
    "iterator": lambda q: list(q.iterator()),
    "in_bulk": lambda q: q.in_bulk([1]),
    "only": lambda q: list(q.only("ref")),
    "distinct": lambda q: list(q.order_by().distinct()),
    "annotate": lambda q: list(q.annotate(n=Count("memberships"))),
    "select_related": lambda q: list(q.select_related("user")),
    "explain": lambda q: q.explain(),
    "raw": lambda q: list(q.raw("SELECT * FROM access_principal")),
    "get_or_create": lambda q: q.get_or_create(
        ref="user:default/new", defaults={"kind": "user", "source": "x"}
    ),
    "update_or_create": lambda q: q.update_or_create(
        ref="user:default/new", defaults={"kind": "user", "source": "x"}
    ),
    "union": lambda q: list(q.order_by().union(q.order_by().filter(kind="user"))),
    "union count": lambda q: q.order_by().union(q.order_by().filter(kind="user")).count(),
    "intersection": lambda q: list(q.order_by().intersection(q.order_by())),
    "difference": lambda q: list(q.order_by().difference(q.order_by())),
    "or": lambda q: list(q.filter(pk=1) | q.filter(pk=2)),
    "and": lambda q: list(q.filter(pk=1) & q.filter(kind="user")),
    "pickled": lambda q: list(pickle_trip(q)),
}
ASYNC_READS: dict[str, Callable[[GuardedQuerySet[Principal]], Any]] = {
    "async iteration": _all,
    "async iterator": lambda q: _all(q.aiterator()),
    "async get": lambda q: q.aget(pk=1),
    "async first": lambda q: q.afirst(),
    "async count": lambda q: q.acount(),
    "async exists": lambda q: q.aexists(),
    "async aggregate": lambda q: q.aaggregate(n=Count("pk")),
    "async in_bulk": lambda q: q.ain_bulk([1]),
}


def pickle_trip(rows: QuerySet[Any]) -> QuerySet[Any]:
    copy = rows.model._default_manager.all()
    copy.query = pickle.loads(pickle.dumps(rows.query))
    return copy


@pytest.fixture
def guarded() -> Iterator[None]:
    PrincipalFactory(ref="user:default/maren")
    with guarded_reads():
        yield


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_no_way_of_reading_passes_unscoped(guarded: None, read: Callable[[Any], Any]) -> None:
    with pytest.raises(UnscopedReadError, match=r"access\.Principal is read inside a request"):
        read(Principal.objects.all())


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_every_way_of_reading_works_scoped(guarded: None, read: Callable[[Any], Any]) -> None:
    rows = Principal.objects.visible_to(MEMBER)
    with suppress(Principal.DoesNotExist):  # "get" asks for some key; the read itself took place
        read(rows)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("read", ASYNC_READS.values(), ids=ASYNC_READS.keys())
def test_async_reads_are_guarded_too(read: Callable[[Any], Any]) -> None:
    PrincipalFactory()

    async def run(rows: Any) -> Any:
        with guarded_reads():
            return await read(rows)

    with pytest.raises(UnscopedReadError):
        asyncio.run(run(Principal.objects.all()))
    with suppress(Principal.DoesNotExist):
        asyncio.run(run(Principal.objects.visible_to(MEMBER)))


def test_a_union_with_one_unscoped_member_is_refused(guarded: None) -> None:
    scoped = Principal.objects.visible_to(MEMBER).order_by()
    unscoped = Principal.objects.filter(kind="group").order_by()
    for pair in (scoped.union(unscoped), unscoped.union(scoped)):
        with pytest.raises(UnscopedReadError):
            list(pair)
    assert len(scoped.union(scoped)) == 1


def test_or_and_and_with_an_unscoped_side_are_refused(guarded: None) -> None:
    scoped, unscoped = Principal.objects.visible_to(MEMBER), Principal.objects.all()
    for pair in (
        lambda: scoped | unscoped,
        lambda: unscoped | scoped,
        lambda: scoped & unscoped,
        lambda: unscoped & scoped,
    ):
        with pytest.raises(UnscopedReadError):
            list(pair())
    assert len(scoped | scoped) == len(scoped & scoped) == 1


INNER: dict[str, Callable[[Any], Q | Exists]] = {
    "in rows": lambda inner: Q(pk__in=inner),
    "in values": lambda inner: Q(pk__in=inner.values("member_id")),
    "exists": lambda inner: Exists(inner.filter(member=OuterRef("pk"))),
    "not exists": lambda inner: ~Exists(inner.filter(member=OuterRef("pk"))),
    "compared": lambda inner: Q(pk=Subquery(inner.values("member_id")[:1])),
}


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER.keys())
def test_a_query_inside_a_scoped_query_has_to_be_scoped_itself(
    guarded: None, inner: Callable[[Any], Any]
) -> None:
    outer = Principal.objects.visible_to(MEMBER)
    with pytest.raises(UnscopedReadError, match=r"access\.Membership"):
        list(outer.filter(inner(Membership.objects.all())))
    list(outer.filter(inner(Membership.objects.visible_to(MEMBER))))
    list(outer.annotate(n=Subquery(Membership.objects.visible_to(MEMBER).values("pk")[:1])))
    with pytest.raises(UnscopedReadError):
        list(outer.annotate(n=Subquery(Membership.objects.values("pk")[:1])))


def test_related_managers_are_guarded(guarded: None) -> None:
    with guarded_reads(False):
        membership = MembershipFactory()
    with pytest.raises(UnscopedReadError):
        list(membership.group.members.all())
    with pytest.raises(UnscopedReadError):
        membership.group.members.count()
    assert membership.group.members.visible_to(MEMBER).count() == 1


def test_prefetched_rows_have_to_be_scoped(guarded: None) -> None:
    with guarded_reads(False):
        MembershipFactory()
    groups = Principal.objects.visible_to(MEMBER).filter(kind="group")
    with pytest.raises(UnscopedReadError):
        list(groups.prefetch_related("members"))
    scoped = Prefetch("members", queryset=Membership.objects.visible_to(MEMBER))
    assert [len(group.members.all()) for group in groups.prefetch_related(scoped)] == [1]


def test_excluding_over_a_relation_counts_as_a_join(guarded: None) -> None:
    with guarded_reads(False):
        membership = MembershipFactory()
    rows = Principal.objects.exclude(members__source="elsewhere").exclude(memberships__group=membership.group)
    with pytest.raises(UnscopedReadError):
        list(rows)
    assert membership.member not in rows.visible_to(MEMBER)


def test_writes_need_no_scope(guarded: None) -> None:
    Principal.objects.filter(ref="user:default/maren").update(title="Maren")
    Principal.objects.create(kind="user", ref="user:default/new", source="test")
    Principal.objects.bulk_create([Principal(kind="user", ref="user:default/bulk", source="test")])
    Token.objects.filter(name="nothing").delete()
    assert Principal.objects.unrestricted("test").filter(title="Maren").exists()


def test_deleting_rows_that_must_be_looked_at_first_needs_a_scope(guarded: None) -> None:
    with pytest.raises(UnscopedReadError):
        Principal.objects.filter(kind="user").delete()
    assert Principal.objects.unrestricted("test").filter(kind="user").delete()[0] == 1


def test_nothing_at_all_may_be_read_by_anybody(guarded: None) -> None:
    assert list(Principal.objects.none()) == []
    assert list(Principal.objects.visible_to(ANONYMOUS)) == []


def test_outside_of_requests_nothing_is_asked() -> None:
    PrincipalFactory()
    assert Principal.objects.count() == 1


def test_the_mark_survives_every_further_word(guarded: None) -> None:
    rows = Principal.objects.visible_to(MEMBER)
    further = (
        rows.filter(kind="user").exclude(ref="").order_by("ref").annotate(n=Count("members")).distinct()[:5]
    )
    assert further.scoped_by == rows.scoped_by == "user:member:view"
    assert list(further)


def test_a_guard_inside_a_guard_ends_where_it_began(guarded: None) -> None:
    with guarded_reads(False):
        list(Principal.objects.all())
    with pytest.raises(UnscopedReadError):
        list(Principal.objects.all())


def test_people_are_looked_up_unguarded_because_sign_in_comes_before_the_viewer(guarded: None) -> None:
    assert User.objects.filter(username="nobody").first() is None
    assert User.objects.get_queryset().scoped_by == "unrestricted: sign-in looks people up"


def test_a_group_is_left_alone_when_another_is_read(guarded: None) -> None:
    with guarded_reads(False):
        one, _ = GroupFactory(), GroupFactory()
    assert Principal.objects.visible_to(MEMBER).get(pk=one.pk) == one
    with guarded_reads(False):
        TokenFactory()
    assert Token.objects.visible_to(ANONYMOUS).count() == 0
