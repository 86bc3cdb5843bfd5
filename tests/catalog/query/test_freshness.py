"""Fresh and stale in the database, in groups and in Python are one answer; M1."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Entity
from catalog.query import EntityQuery
from catalog.query.freshness import freshness_of
from catalog.query.reliability import freshness_shares
from portal.access.viewer import Viewer
from tests.factories.catalog import document, store
from tests.factories.world import make_source

SYSTEM = Viewer.system("test")


@pytest.mark.django_db(transaction=True)
def test_the_filter_the_count_and_the_page_of_an_entity_agree_for_every_case() -> None:
    rnd, now = random.Random(7), timezone.now()
    sources = [
        make_source(f"s{n}", last_success_at=at, stale_after=days)
        for n, (at, days) in enumerate(
            (at, days)
            for at in (None, now - timedelta(days=1), now - timedelta(days=40), now - timedelta(days=400))
            for days in (None, 0.5, 100.0)
        )
    ]
    kinds = ["Component", "Domain", "System", "API"]
    made = store([document(f"e{n}", kind=rnd.choice(kinds)) for n in range(240)])
    for row in made:
        own = rnd.choice([None, None, now - timedelta(hours=rnd.randrange(1, 10_000))])
        source = rnd.choice([None, *sources])
        Entity.objects.filter(pk=row.pk).update(source=source, confirmed_at=own)
    rows = list(Entity.objects.unrestricted("test").select_related("source"))
    stale = {row.ref for row in rows if freshness_of(row).stale}
    assert 20 < len(stale) < 220, "both happen"

    def found(value: str) -> set[str]:
        return set(EntityQuery(SYSTEM, include={"fresh": [value]}).entities().values_list("ref", flat=True))

    assert found("stale") == stale
    assert found("fresh") == {row.ref for row in rows} - stale
    counted = {c.value: c.count for c in EntityQuery(SYSTEM).facets(["fresh"])["fresh"]}
    assert counted == {"fresh": len(rows) - len(stale), "stale": len(stale)}
    domains = EntityQuery(SYSTEM, include={"kind": ["domain"], "fresh": ["stale"]})
    assert domains.count() == sum(ref.startswith("domain:") for ref in stale)


@pytest.mark.django_db(transaction=True)
def test_an_answer_about_freshness_is_never_remembered() -> None:
    source = make_source(last_success_at=timezone.now() - timedelta(days=30))
    store([document("shop")])
    Entity.objects.update(source=source)

    def stale() -> tuple[int, dict[str, int]]:
        counts = EntityQuery(SYSTEM).facets(["fresh"])["fresh"]
        query = EntityQuery(SYSTEM, include={"fresh": ["stale"]})
        assert query.remembered_under is None
        return query.lengths_of([query])[0], {c.value: c.count for c in counts}

    assert stale() == (1, {"stale": 1})
    type(source).objects.filter(pk=source.pk).update(last_success_at=timezone.now())  # a sync, no publication
    assert stale() == (0, {"fresh": 1})


@pytest.mark.req("R176")
@pytest.mark.django_db
def test_of_ten_entities_nine_fresh_ones_give_nine_tenths_and_static_kinds_do_not_count(
    settings: Any,
) -> None:
    settings.CALLBOARD_STATIC_KINDS = {"domain": 180.0}
    now = timezone.now()
    store([document(f"c{n}", kind="Component" if n % 2 else "API") for n in range(10)])
    store([document("sea", kind="Domain"), document("land", kind="Domain")])
    Entity.objects.update(source=make_source(last_success_at=now))
    Entity.objects.filter(name="c1").update(confirmed_at=now - timedelta(days=31))
    Entity.objects.filter(name="sea").update(confirmed_at=now - timedelta(days=179))
    Entity.objects.filter(name="land").update(confirmed_at=now - timedelta(days=181))
    shares = freshness_shares(SYSTEM)
    assert (shares.all.ratio, shares.all.total) == (0.9, 10)
    assert shares.kinds["component"].ratio == 0.8
    assert shares.kinds["api"].ratio == 1.0
    assert (shares.static["domain"].good, shares.static["domain"].total) == (1, 2)
