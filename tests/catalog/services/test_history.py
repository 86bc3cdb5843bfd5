"""Every change closes a version, once; and the catalog of any moment is the one that was there."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.utils import timezone

from catalog.models import Entity, EntityDocument, Revision, Tombstone
from catalog.query import EntityQuery, PastQuery
from catalog.services.publishing import remove_entity
from catalog.services.publishing.revisions import forget_old_versions
from catalog.services.removals import restore_entity
from portal.core.errors import ConflictError
from portal.events.models import Event
from tests.factories.sources import SYSTEM, Folder, assert_catalog_is_consistent, component, document, entity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R033")]

SHOP = "component:default/shop"
FACETS = ("kind", "spec.type", "owner", "metadata.tags", "relations.dependsOn", "relations.dependencyOf")


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return Folder(tmp_path / "company")


def versions(uid: object) -> list[Revision]:
    return list(Revision.objects.unrestricted("test").filter(uid=uid).order_by("number"))


def assert_versions_are_whole() -> None:
    """Numbers 1 to n without a gap, each once; a version begins where the one before it ended; one event for each."""
    present = {e.uid: e for e in Entity.objects.unrestricted("test")}
    closed: dict[object, list[Revision]] = {}
    for revision in Revision.objects.unrestricted("test").order_by("uid", "number"):
        closed.setdefault(revision.uid, []).append(revision)
    told = Counter(
        (e.data["uid"], e.data["revision"])
        for e in Event.objects.unrestricted("test").filter(type__startswith="catalog.entity.")
        if e.data.get("part", "content") in ("content", "place") and not e.type.endswith("removed")
    )
    for uid in {*present, *closed}:
        rows = closed.get(uid, [])
        numbers = [r.number for r in rows] + ([present[uid].revision] if uid in present else [])
        assert numbers == list(range(1, len(numbers) + 1)), uid
        starts = [r.since for r in rows] + ([present[uid].revised_at] if uid in present else [])
        for before, since in zip(rows, starts[1:], strict=False):
            if before.end == "changed":
                assert before.until == since, (before, since)
            else:
                assert before.until <= since, "restored later"
        assert {(u, n) for u, n in told if u == str(uid)} == {(str(uid), n) for n in numbers}
    assert set(told.values()) <= {1}, "a version is announced once"


def own(text: str) -> dict[str, Any]:
    """What the source of an entity says; relations and status are said by others."""
    found: dict[str, Any] = orjson.loads(text)
    found.pop("relations")
    found.pop("status", None)
    for name in ("uid", "etag"):
        found["metadata"].pop(name)
    return found


def test_a_first_reading_writes_no_version_and_a_change_closes_one(folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    assert not Revision.objects.unrestricted("test").exists()
    first = entity(SHOP)
    folder.write("shop.yaml", component("shop", extra="title: The shop"))
    folder.sync()
    (revision,) = versions(first.uid)
    assert (revision.number, revision.end, revision.since) == (1, "changed", first.revised_at)
    assert revision.sync_id == first.sync_id
    assert revision.source_name == "folder"
    assert "title" not in own(revision.text)["metadata"]
    second = entity(SHOP)
    assert (second.revision, second.revised_at) == (2, revision.until)
    assert_versions_are_whole()


def test_an_unchanged_reading_and_other_peoples_relations_close_no_version(folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    folder.sync(force=True)
    folder.write("till.yaml", component("till", dependsOn="[component:shop]"))
    folder.sync()
    shop = entity(SHOP)
    assert (shop.revision, versions(shop.uid)) == (1, [])
    assert document(SHOP)["relations"], "its document has changed all the same"
    kinds = Event.objects.unrestricted("test").filter(subject=SHOP).order_by("pk")
    assert [(e.type, e.data.get("part")) for e in kinds] == [
        ("catalog.entity.created", None),
        ("catalog.entity.changed", "relations"),
    ]


def test_a_removed_entity_says_who_removed_it_and_comes_back_with_its_date_of_creation(
    folder: Folder,
) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    shop = entity(SHOP)
    remove_entity(actor=SYSTEM, uid=str(shop.uid))
    (last,) = versions(shop.uid)
    assert (last.end, last.ended_by) == ("deleted", SYSTEM.actor)
    restored = restore_entity(actor=SYSTEM, tombstone=Tombstone.objects.unrestricted("test").get())
    assert (restored.uid, restored.created_at, restored.revision) == (shop.uid, shop.created_at, 2)
    assert restored.revised_by == SYSTEM.actor
    assert_versions_are_whole()


def test_a_refused_restore_leaves_history_as_it_was(folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    remove_entity(actor=SYSTEM, uid=str(entity(SHOP).uid))
    folder.sync(force=True)
    before = Revision.objects.unrestricted("test").count()
    with pytest.raises(ConflictError):
        restore_entity(actor=SYSTEM, tombstone=Tombstone.objects.unrestricted("test").get())
    assert Revision.objects.unrestricted("test").count() == before


def test_old_versions_go_after_their_time_but_not_those_that_can_come_back(
    folder: Folder, settings: Any
) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.write("till.yaml", component("till"))
    folder.sync()
    folder.write("shop.yaml", component("shop", extra="title: Shop"))
    folder.remove("till.yaml")
    folder.sync()
    past = timezone.now() - timedelta(days=400)
    Revision.objects.unrestricted("test").update(since=past, until=past)
    assert forget_old_versions() == 1
    kept = Revision.objects.unrestricted("test").get()
    assert (kept.ref, kept.attributes.unrestricted("test").exists()) == ("component:default/till", True)
    settings.CALLBOARD_HISTORY_DAYS = 1_000
    assert forget_old_versions() == 0


def _edit(folder: Folder, rng: random.Random) -> None:
    """Write a random tree: few names in few files, so that they change, move, go and come back."""
    for n in range(3):
        documents = []
        for name in rng.sample(("a", "b", "c", "d"), rng.randint(0, 2)):
            extra = rng.choice(
                ("", "title: One", f"tags: [{rng.choice(('x', 'y'))}]", "description: long words")
            )
            spec = rng.choice(({}, {"dependsOn": f"[component:{rng.choice('abcd')}]"}))
            documents.append(component(f"{name}{n}", owner=rng.choice(("one", "two")), extra=extra, **spec))
        if documents:
            folder.write(f"f{rng.randint(0, 1)}-{n}.yaml", *documents)
            other = folder.path / f"f{1 - int((folder.path / f'f0-{n}.yaml').exists())}-{n}.yaml"
            if rng.random() < 0.3 and other.exists():
                other.unlink()


def _snapshot() -> dict[str, Any]:
    query = EntityQuery(SYSTEM)
    texts = EntityDocument.objects.unrestricted("test").values_list("entity__ref", "text")
    related = EntityQuery(SYSTEM, include={"relations.dependencyof": ["component:default/a0"]})
    return {
        "documents": {ref: own(text) for ref, text in texts},
        "count": query.count(),
        "facets": query.facets(FACETS),
        "owned": sorted(
            e.ref for e in EntityQuery(SYSTEM, include={"owner": ["group:default/one"]}).entities()
        ),
        "related": sorted(e.ref for e in related.entities()),
        "text": sorted(e.ref for e in EntityQuery(SYSTEM, text="words").entities()),
    }


def _pages(query: PastQuery) -> list[str]:
    refs, cursor = [], ""
    while True:
        page = query.page(2, cursor=cursor)
        refs += [e.ref for e in page.entities]
        cursor = page.next_cursor
        if not cursor:
            break
    back: list[str] = []
    previous = page.previous_cursor
    back = [e.ref for e in page.entities]
    while previous:
        page = query.page(2, cursor=previous)
        back = [e.ref for e in page.entities] + back
        previous = page.previous_cursor
    assert back == refs, "the way back shows the same"
    return refs


def _assert_past(at: datetime, then: dict[str, Any]) -> None:
    query = PastQuery(SYSTEM, at, order="label")
    assert query.count() == then["count"]
    facets = query.facets(FACETS)
    assert facets == then["facets"]
    refs = _pages(query)
    assert sorted(refs) == sorted(then["documents"])
    owned = PastQuery(SYSTEM, at, include={"owner": ["group:default/one"]}, order="-changed_at")
    assert sorted(_pages(owned)) == then["owned"]
    related = PastQuery(
        SYSTEM, at, include={"relations.dependencyof": ["component:default/a0"]}, order="owner"
    )
    assert sorted(_pages(related)) == then["related"]
    assert sorted(_pages(PastQuery(SYSTEM, at, text="words", order="label"))) == then["text"]
    for row in query.page(100).entities:
        if Entity.objects.unrestricted("test").filter(ref=row.ref, revised_at__lte=at).exists():
            text = entity(row.ref).document.text
        else:
            text = Revision.objects.unrestricted("test").get(pk=row.pk).text
        assert own(text) == then["documents"][row.ref]


@pytest.mark.parametrize("seed", range(6))
def test_the_catalog_of_any_moment_is_the_one_that_was_there(folder: Folder, seed: int) -> None:
    rng = random.Random(seed)
    moments: list[tuple[datetime, dict[str, Any]]] = []
    for _ in range(8):
        _edit(folder, rng)
        folder.sync()
        if rng.random() < 0.3 and (found := Entity.objects.unrestricted("test").order_by("?").first()):
            remove_entity(actor=SYSTEM, uid=str(found.uid))
        stone = Tombstone.objects.unrestricted("test").filter(restored_at=None).order_by("?").first()
        if (
            rng.random() < 0.3
            and stone
            and not Entity.objects.unrestricted("test").filter(ref=stone.ref).exists()
        ):
            restore_entity(actor=SYSTEM, tombstone=stone)
        moments.append((timezone.now(), _snapshot()))
    assert_catalog_is_consistent()
    assert_versions_are_whole()
    assert Revision.objects.unrestricted("test").count() > 5
    for at, then in moments:
        _assert_past(at, then)
    assert PastQuery(SYSTEM, moments[0][0] - timedelta(days=1)).count() == 0
