"""The checks of the faults bench find what they are for: each is shown a catalog with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from catalog.bench.faults.checks import differences, faults
from catalog.bench.faults.witnesses import Sealed, differing
from catalog.bench.faults.world import Repository, Tree, names, truth_of
from catalog.models import (
    BulkItem,
    BulkOperation,
    Entity,
    EntityDocument,
    KeptDocument,
    Relation,
    Revision,
    Source,
    Sync,
    SyncCount,
)
from portal.access.models import IdempotentAnswer
from portal.access.querysets import RestrictedQuerySet
from portal.audit.models import AuditEvent
from portal.audit.services import seal as seal_audit
from portal.events.models import Delivery, Event, Subscription
from portal.events.services import seal
from portal.jobs.models import Job
from tests.factories.audit import guards_off
from tests.factories.sources import Folder, component

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"
NOW = timezone.now()


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    """A source of which every entity has changed, and one has gone."""
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    made = Folder(tmp_path / "one", "one")
    made.write("a.yaml", component("shop"), component("cart"))
    made.write("b.yaml", component("old"))
    made.sync()
    made.write("a.yaml", component("shop", owner="other"), component("cart", owner="other"))
    made.remove("b.yaml")
    made.sync()
    seal()
    seal_audit()
    return made


def found() -> list[str]:
    return [kind for kind, texts in faults().items() if texts]


def rows(model: Any) -> RestrictedQuerySet[Any]:
    all_of_it: RestrictedQuerySet[Any] = model.objects.unrestricted("test")
    return all_of_it


def test_a_sound_catalog_has_no_faults(folder: Folder) -> None:
    assert faults() == {kind: [] for kind in faults()}


def skip_a_version() -> None:
    rows(Entity).filter(ref=SHOP).update(revision=F("revision") + 1)


def double_a_version() -> None:
    entity, revision = rows(Entity).get(ref=SHOP), rows(Revision).get(ref=SHOP)
    rows(Revision).filter(pk=revision.pk).update(content_hash=entity.content_hash)


def leave_a_gap() -> None:
    rows(Entity).filter(ref=SHOP).update(revised_at=timezone.now() + timedelta(minutes=1))


def lose_an_event() -> None:
    last = rows(Event).filter(type__startswith="catalog.entity").order_by("-position").first()
    rows(Event).filter(pk=last.pk).delete()


def double_an_event() -> None:
    event = rows(Event).filter(type="catalog.entity.changed").first()
    Event.objects.create(type=event.type, subject=event.subject, data=event.data, at=event.at)
    seal()


def lose_a_relation() -> None:
    rows(Relation).filter(source_ref=SHOP).delete()


def leave_a_job() -> None:
    Job.objects.create(kind="catalog.sync_source", actor="test")


def leave_a_mark() -> None:
    rows(Source).update(reading_job="00000000-0000-4000-8000-000000000000")


def leave_a_sync() -> None:
    Sync.objects.create(source=rows(Source).get(), actor="test", started_at=timezone.now())


def change_the_record() -> None:
    first = rows(AuditEvent).order_by("position").first()
    with guards_off(), connection.cursor() as cursor:  # past the model, which refuses changes
        cursor.execute("UPDATE audit_auditevent SET actor = 'somebody else' WHERE id = %s", [first.pk])


def count_a_reading_twice() -> None:
    rows(SyncCount).update(count=F("count") + 1)


def make_nothing_of_a_text() -> None:
    KeptDocument.objects.create(
        source=rows(Source).get(), ref="component:default/lost", text="{}", written_at=NOW, written_by="test"
    )


def write_a_version_twice() -> None:
    entity = rows(Entity).get(ref=SHOP)
    for _ in range(2):
        BulkItem.objects.create(
            operation=BulkOperation.objects.create(verb="set", state="done", finished_at=NOW),
            position=0, ref=SHOP, subject=entity.uid, outcome="done", effect="changed",
            before_number=entity.revision - 1, after_number=entity.revision,
        )  # fmt: skip


def leave_an_operation() -> None:
    BulkOperation.objects.create(verb="set")


def leave_a_request() -> None:
    IdempotentAnswer.objects.create(
        actor="test", key="1", digest="", created_at=NOW, lease_until=NOW, expires_at=NOW + timedelta(days=1)
    )


def leave_a_letter() -> None:
    to = Subscription.objects.create(name="one", url="http://127.0.0.1/", secret="x")
    Delivery.objects.create(
        subscription=to,
        message_id=uuid4(),
        position=1,
        type="a",
        subject="b",
        state="dead",
        first_at=NOW,
        last_at=NOW,
    )


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (skip_a_version, ["versions", "events of versions"]),
        (double_a_version, ["versions"]),
        (leave_a_gap, ["versions"]),
        (lose_an_event, ["events of versions", "event positions"]),
        (double_an_event, ["events of versions"]),
        (lose_a_relation, ["catalog contradicts itself"]),
        (leave_a_job, ["jobs"]),
        (leave_a_mark, ["books of sources"]),
        (leave_a_sync, ["books of sources"]),
        (change_the_record, ["audit"]),
        (count_a_reading_twice, ["readings"]),
        (make_nothing_of_a_text, ["kept texts"]),
        (write_a_version_twice, ["operations"]),
        (leave_an_operation, ["operations"]),
        (leave_a_request, ["answers"]),
        (leave_a_letter, ["deliveries"]),
    ],
)
def test_a_fault_is_found(folder: Folder, spoil: Callable[[], None], kinds: list[str]) -> None:
    spoil()
    assert set(kinds) <= set(found())


def test_an_older_document_and_what_nobody_declares_are_differences(tmp_path: Path, settings: Any) -> None:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    tree = Tree("one", tmp_path / "one", 3, names("thing"))
    folder = Folder(tree.folder, "one")
    folder.sync()
    assert differences(truth_of([tree]), []) == []
    for _ in range(30):
        tree.change()
    assert differences(truth_of([tree]), [])
    folder.sync()
    assert differences(truth_of([tree]), []) == []
    stored = rows(EntityDocument).get(entity__ref=f"component:default/{tree.anchor}")
    document = orjson.loads(stored.text)
    document["spec"]["owner"] = "nobody"
    rows(EntityDocument).filter(pk=stored.pk).update(text=orjson.dumps(document).decode())
    assert differences(truth_of([tree]), []) == [f"component:default/{tree.anchor} has an older document"]
    assert differences(truth_of([tree]), ["http://a"])[-1] == "http://a is not registered"


def test_the_same_seed_changes_the_same_things_and_a_repository_keeps_each_change(tmp_path: Path) -> None:
    one, two = (Repository("one", tmp_path / name, 5, names("thing")) for name in "ab")
    assert [one.change() for _ in range(20)] == [two.change() for _ in range(20)]
    assert one.truth() == two.truth()
    assert one.truth().keys() != Tree("one", tmp_path / "c", 6, names("thing")).truth().keys()


def test_the_better_source_has_a_contended_name(tmp_path: Path) -> None:
    first, second = (
        Tree(name, tmp_path / name, seed, names("thing", 9), priority=priority)
        for name, seed, priority in (("first", 1, 20), ("second", 2, 10))
    )
    truth = truth_of([first, second])
    both = first.truth().keys() & second.truth().keys()
    assert both and {truth[ref]["source"] for ref in both} == {"second"}


@pytest.mark.parametrize("seen", [["a"], ["a", "b", "b"], ["b", "a"], ["a", "b", "c"]])
def test_a_witness_names_what_was_missed_doubled_or_out_of_order(seen: list[str]) -> None:
    events: list[Sealed] = [("a", "kind", "one"), ("b", "kind", "two")]
    assert differing(seen, events) and differing(["a", "b"], events) == []
