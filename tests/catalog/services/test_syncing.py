"""Reading a source: what appears, changes, stays and goes."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from catalog.models import (
    AttributeValue,
    Contender,
    DataVersion,
    Entity,
    EntityAttribute,
    Relation,
    Source,
    Sync,
)
from catalog.services import syncing
from catalog.services.publishing import remove_entity
from catalog.services.sources import delete_source, request_sync, update_source
from portal.access.models import Membership, Principal
from portal.audit.models import AuditEvent
from portal.events.models import Event
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.sources import (
    SYSTEM,
    Folder,
    component,
    document,
    entity,
    exists,
    location,
    shown_relations,
)

pytestmark = pytest.mark.django_db(transaction=True)

GROUP = (
    "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: {name}\n"
    "spec:\n  type: team\n  children: []\n"
)
USER = (
    "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata:\n  name: {name}\nspec:\n  memberOf: [{group}]\n"
)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    return Folder(tmp_path / "one", "one")


@pytest.fixture
def other(tmp_path: Path, folder: Folder) -> Folder:
    return Folder(tmp_path / "two", "two")


@pytest.mark.req("R001")
def test_entities_appear_with_their_owner_place_and_relations_on_both_sides(folder: Folder) -> None:
    folder.write("a.yaml", component("shop", dependsOn="[component:default/stock]"), component("stock"))
    result = folder.sync()

    assert (result["added"], result["problems"]) == (3, 0)
    shop = entity("component:default/shop")
    assert (shop.owner_ref, shop.type, shop.lifecycle) == ("group:default/platform", "service", "production")
    assert shop.url.endswith("/one/a.yaml")
    assert (shop.document_index, shop.line) == (0, 1)
    assert entity("component:default/stock").line == 10
    assert shown_relations("component:default/shop") == [
        ("dependsOn", "component:default/stock"),
        ("ownedBy", "group:default/platform"),
    ]
    assert ("dependencyOf", "component:default/shop") in shown_relations("component:default/stock")
    assert document("component:default/shop")["metadata"]["uid"] == str(shop.uid)


@pytest.mark.req("R016")
def test_a_second_reading_of_the_same_files_changes_nothing(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    before = (entity("component:default/shop").changed_at, DataVersion.objects.get(pk="entities").value)
    result = folder.sync()
    assert (result["state"], result["added"], result["changed"], result["removed"]) == ("unchanged", 0, 0, 0)
    forced = folder.sync(force=True)
    assert (forced["state"], forced["changed"]) == ("done", 0)
    assert (
        entity("component:default/shop").changed_at,
        DataVersion.objects.get(pk="entities").value,
    ) == before


def test_a_changed_document_keeps_its_uid_and_gets_another_etag(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    before = entity("component:default/shop")
    folder.write("a.yaml", component("shop", extra="title: The shop"))
    assert folder.sync()["changed"] == 1
    after = entity("component:default/shop")
    assert (after.uid, after.label) == (before.uid, "the shop")
    assert after.etag != before.etag
    assert after.changed_at > before.changed_at


def test_the_other_end_of_a_relation_follows_when_it_changes_and_when_its_declarer_goes(
    folder: Folder,
) -> None:
    folder.write("a.yaml", component("shop", dependsOn="[component:default/stock]"))
    folder.write("b.yaml", component("stock"), component("till"))
    folder.sync()
    folder.write("a.yaml", component("shop", dependsOn="[component:default/till]"))
    folder.sync()
    assert ("dependencyOf", "component:default/shop") not in shown_relations("component:default/stock")
    assert ("dependencyOf", "component:default/shop") in shown_relations("component:default/till")
    folder.write("a.yaml", "")
    assert folder.sync()["removed"] == 1
    assert shown_relations("component:default/till") == [("ownedBy", "group:default/platform")]
    assert not Relation.objects.unrestricted("test").filter(source_ref="component:default/shop").exists()


def test_relations_to_something_that_appears_later_show_up_on_it(folder: Folder, other: Folder) -> None:
    folder.write("a.yaml", component("shop", dependsOn="[component:default/stock]"))
    folder.sync()
    other.write("b.yaml", component("stock"))
    other.sync()
    assert ("dependencyOf", "component:default/shop") in shown_relations("component:default/stock")


def test_an_entity_that_turns_invalid_keeps_its_last_good_version_and_says_so(folder: Folder) -> None:
    folder.write("a.yaml", component("shop", extra="description: good"), component("stock"))
    folder.sync()
    folder.write("a.yaml", component("shop", extra="description: bad\ntags: [No.Good]"), component("stock"))
    assert folder.sync()["state"] == "partial"
    kept = document("component:default/shop")
    assert kept["metadata"]["description"] == "good"
    assert kept["status"]["items"][0]["level"] == "error"
    assert entity("component:default/shop").has_errors
    [problem] = folder.problems
    assert (problem.rule, problem.line, problem.owner_ref) == (
        "catalog.format.tag",
        6,
        "group:default/platform",
    )
    assert problem.corrected_line

    folder.write("a.yaml", component("shop", extra="description: better"), component("stock"))
    assert folder.sync()["state"] == "done"
    healed = document("component:default/shop")
    assert healed["metadata"]["description"] == "better"
    assert "status" not in healed
    assert (folder.problems, entity("component:default/shop").has_errors) == ([], False)


@pytest.mark.req("R003")
def test_one_broken_document_costs_none_of_the_others(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"), "kind: [unclosed\n", component("stock"))
    folder.write("b.yaml", component("till"))
    result = folder.sync()
    assert result["state"] == "partial"
    assert all(exists(f"component:default/{name}") for name in ("shop", "stock", "till"))
    assert [p.rule.startswith("catalog.yaml") for p in folder.problems] == [True]


def test_a_document_that_breaks_never_removes_what_its_file_declared_before(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"), component("stock"))
    folder.sync()
    folder.write("a.yaml", component("shop"), "metadata: {name: stock\n")
    result = folder.sync()
    assert result["removed"] == 0
    assert entity("component:default/stock").state == Entity.State.MISSING
    folder.write("a.yaml", component("shop"))
    assert folder.sync()["removed"] == 1
    assert not exists("component:default/stock")


def test_a_target_that_is_gone_leaves_its_entities_marked_missing(folder: Folder, settings: Any) -> None:
    folder.write("root.yaml", location("root", "./parts/shop.txt"))
    folder.write("parts/shop.txt", component("shop"))
    folder.sync()
    assert entity("component:default/shop").parent == entity("location:default/root")
    folder.remove("parts/shop.txt")
    folder.sync()
    shop = entity("component:default/shop")
    assert shop.state == Entity.State.MISSING
    assert shop.state_reason
    assert document("location:default/root")["status"]["items"][0]["message"].startswith("NotFoundError")
    folder.write("parts/shop.txt", component("shop"))
    folder.sync()
    assert entity("component:default/shop").state == Entity.State.ACTIVE
    assert "status" not in document("location:default/root")


def test_a_target_that_may_be_absent_takes_its_entities_with_it(folder: Folder) -> None:
    folder.write("root.yaml", location("root", "./parts/shop.txt", presence="optional"))
    folder.write("parts/shop.txt", component("shop"))
    folder.sync()
    folder.remove("parts/shop.txt")
    assert folder.sync()["removed"] == 1
    assert folder.problems == []


def test_a_source_that_cannot_be_read_keeps_everything(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    moved = folder.path.rename(folder.path.with_name("away"))
    folder.try_sync()
    assert folder.last_sync.state == Sync.State.FAILED
    assert entity("component:default/shop").state == Entity.State.MISSING
    moved.rename(folder.path)
    folder.sync()
    assert entity("component:default/shop").state == Entity.State.ACTIVE


def test_between_two_sources_the_first_keeps_the_entity_and_the_second_says_why(
    folder: Folder, other: Folder
) -> None:
    folder.write("a.yaml", component("shop", extra="title: first"))
    other.write("b.yaml", component("shop", extra="title: second"))
    folder.sync()
    other.sync()
    assert document("component:default/shop")["metadata"]["title"] == "first"
    [problem] = other.problems
    assert problem.rule == "catalog.conflict"
    assert "/one/a.yaml" in problem.message
    assert Contender.objects.unrestricted("test").get().source == other.source


def test_a_source_with_a_better_priority_takes_the_entity_over(folder: Folder, other: Folder) -> None:
    folder.write("a.yaml", component("shop", extra="title: first"))
    other.write("b.yaml", component("shop", extra="title: second"))
    folder.sync()
    uid = entity("component:default/shop").uid
    other.sync(priority=10)
    assert document("component:default/shop")["metadata"]["title"] == "second"
    assert entity("component:default/shop").uid == uid
    folder.sync(force=True)
    assert document("component:default/shop")["metadata"]["title"] == "second"
    assert [p.rule for p in folder.problems] == ["catalog.conflict"]


def test_when_the_winner_is_removed_the_other_source_is_read_again_and_takes_over(
    folder: Folder, other: Folder
) -> None:
    folder.write("a.yaml", component("shop", extra="title: first"))
    other.write("b.yaml", component("shop", extra="title: second"))
    folder.sync()
    other.sync()
    assert folder.source is not None
    delete_source(actor=SYSTEM, source=folder.source)
    assert not exists("component:default/shop")
    waiting = Job.objects.unrestricted("test").get(state=Job.State.QUEUED)
    assert waiting.payload == {"source": str(other.source.pk), "force": True}
    run_job(waiting.pk)
    assert document("component:default/shop")["metadata"]["title"] == "second"
    assert not Contender.objects.unrestricted("test").exists()


def test_within_one_file_the_last_document_counts_and_between_files_the_first(folder: Folder) -> None:
    folder.write("a.yaml", component("shop", extra="title: one"), component("SHOP", extra="title: two"))
    folder.write("b.yaml", component("shop", extra="title: three"))
    folder.sync()
    assert document("component:default/shop")["metadata"]["title"] == "two"
    assert sorted(p.rule for p in folder.problems) == ["catalog.conflict", "catalog.conflict"]


def test_removing_a_source_removes_everything_it_declared_at_once(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"), component("stock"))
    folder.sync()
    assert folder.source is not None
    assert delete_source(actor=SYSTEM, source=folder.source) == 3
    assert not Entity.objects.unrestricted("test").exists()
    assert not EntityAttribute.objects.unrestricted("test").exists()
    assert not Relation.objects.unrestricted("test").exists()
    assert AuditEvent.objects.filter(verb="catalog.source.deleted").count() == 1


def test_an_entity_that_was_removed_by_hand_comes_back_with_another_uid(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    before = entity("component:default/shop").uid
    assert remove_entity(actor=SYSTEM, uid=str(before)) == [folder.source]
    assert not exists("component:default/shop")
    folder.sync(force=True)
    assert entity("component:default/shop").uid != before


def test_a_kind_that_the_source_may_not_bring_is_refused_alone(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"), GROUP.format(name="bookings"))
    folder.sync(allowed_kinds=["Component", "Location"])
    assert exists("component:default/shop")
    assert not exists("group:default/bookings")
    assert [p.rule for p in folder.problems] == ["catalog.kind.not-allowed"]


def test_only_a_source_marked_for_it_defines_people_for_permissions(folder: Folder, other: Folder) -> None:
    documents = GROUP.format(name="bookings"), USER.format(name="maren", group="bookings")
    folder.write("a.yaml", *documents)
    folder.sync()
    assert exists("user:default/maren")
    assert not Principal.objects.unrestricted("test").exists()
    assert folder.source is not None
    delete_source(actor=SYSTEM, source=folder.source)
    other.write("a.yaml", *documents)
    other.sync(may_define_people=True)
    membership = Membership.objects.unrestricted("test").select_related("member", "group").get()
    assert (membership.member.ref, membership.group.ref) == ("user:default/maren", "group:default/bookings")


def memberships() -> list[tuple[str, bool]]:
    rows = Membership.objects.unrestricted("test").values_list("member__ref", "member__active")
    return list(rows)


@pytest.fixture
def people(folder: Folder) -> Folder:
    """A source that defines one person in one group."""
    folder.write("a.yaml", GROUP.format(name="bookings"), USER.format(name="maren", group="bookings"))
    folder.sync(may_define_people=True)
    assert memberships() == [("user:default/maren", True)]
    return folder


@pytest.mark.parametrize("end", ["removed", "unmarked"])
def test_permissions_of_a_source_end_with_the_source_or_its_mark(people: Folder, end: str) -> None:
    assert people.source is not None
    if end == "removed":
        delete_source(actor=SYSTEM, source=people.source)
    else:
        update_source(actor=SYSTEM, source=people.source, changes={"may_define_people": False})
    assert memberships() == []
    assert not Principal.objects.unrestricted("test").filter(active=True).exists()


def test_another_source_that_names_them_takes_withdrawn_identities_over(
    people: Folder, tmp_path: Path
) -> None:
    assert people.source is not None
    delete_source(actor=SYSTEM, source=people.source)
    again = Folder(people.path, "again")
    again.sync(may_define_people=True)
    assert memberships() == [("user:default/maren", True)]


def test_a_source_with_another_name_defines_the_same_people(people: Folder) -> None:
    assert people.source is not None
    update_source(actor=SYSTEM, source=people.source, changes={"name": "renamed"})
    people.source.refresh_from_db()
    people.sync(force=True)
    assert memberships() == [("user:default/maren", True)]
    assert set(Principal.objects.unrestricted("test").values_list("source", flat=True)) == {"catalog:renamed"}


def test_a_sync_is_one_audit_record_and_one_event_and_an_unchanged_one_is_none(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    folder.sync()
    assert AuditEvent.objects.filter(verb="catalog.source.synced").count() == 1
    event = Event.objects.unrestricted("test").get(type="catalog.source.synced")
    assert "component:default/shop" in event.data["changed"]


def test_attributes_hold_lower_case_values_and_what_the_author_wrote(folder: Folder) -> None:
    folder.write("a.yaml", component("shop", extra="labels: {tier: Gold}"))
    folder.sync()
    rows = EntityAttribute.objects.unrestricted("test").filter(entity__ref="component:default/shop")
    values = AttributeValue.objects.filter(
        id__in=rows.filter(key__name="metadata.labels.tier").values("value_id")
    )
    assert [(v.text, v.lower) for v in values] == [("Gold", "gold")]


def test_a_forced_reading_is_not_lost_to_one_that_runs_or_waits(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    ordinary = request_sync(actor=SYSTEM, source=folder.source)
    forced = request_sync(actor=SYSTEM, source=folder.source, force=True)
    assert forced.pk != ordinary.pk
    run_job(ordinary.pk)
    Entity.objects.filter(pk=entity("component:default/shop").pk).update(content_hash="of something else")
    run_job(forced.pk)
    assert entity("component:default/shop").content_hash != "of something else"


def test_a_removed_entity_that_is_declared_comes_back_with_any_reading(folder: Folder) -> None:
    """Whoever removes it asks for a forced one, but may be killed before that."""
    folder.write("a.yaml", component("shop"))
    folder.sync()
    remove_entity(actor=SYSTEM, uid=str(entity("component:default/shop").uid))
    assert not exists("component:default/shop")
    folder.sync()
    assert exists("component:default/shop")


def test_a_reading_waits_for_the_one_that_runs_and_takes_over_from_one_that_died(folder: Folder) -> None:
    folder.write("a.yaml", component("shop"))
    folder.sync()
    running = Job.objects.create(
        kind="catalog.sync_source",
        actor="test",
        state=Job.State.RUNNING,
        lease_until=timezone.now() + timedelta(minutes=1),
    )
    rows = Source.objects.unrestricted("test").filter(pk=folder.source.pk)
    rows.update(reading_job=running.pk)
    ended = threading.Timer(
        0.5,
        lambda: Job.objects.filter(pk=running.pk).update(
            state="failed", finished_at=timezone.now(), lease_until=None
        ),
    )
    ended.start()
    assert folder.sync(force=True)["seconds"] < 5
    ended.join()
    connections["default"].close()
    assert folder.last_sync.started_at > running.created_at + timedelta(seconds=0.4)
    assert rows.get().reading_job is None


def test_two_keys_that_differ_in_case_only_refuse_the_entity_and_nothing_else(folder: Folder) -> None:
    folder.write("a.yaml", component("odd", extra="labels: {Tier: a, tier: b}"), component("shop"))
    folder.sync()
    assert exists("component:default/shop")
    assert not exists("component:default/odd")
    assert [p.rule for p in folder.problems] == ["catalog.attribute.case"]


def test_a_problem_that_stays_keeps_the_time_it_was_first_seen(folder: Folder) -> None:
    folder.write("a.yaml", component("shop", extra="tags: [No.Good]"))
    folder.sync()
    [first] = folder.problems
    folder.write("a.yaml", "# a line more\n" + component("shop", extra="tags: [No.Good]"))
    folder.sync()
    [later] = folder.problems
    assert (later.pk, later.first_seen_at) == (first.pk, first.first_seen_at)
    assert later.line == (first.line or 0) + 1
    assert later.last_seen_at > first.last_seen_at


def test_a_problem_of_an_entity_that_was_never_accepted_goes_to_the_owner_it_names(folder: Folder) -> None:
    folder.write(
        "a.yaml",
        component("shop", owner="bookings", extra="namespace: sales\ntags: [No.Good]"),
        component("Not a name", owner="user:maren"),
        component("stock", owner="'a:b:c/'", extra="tags: [No.Good]"),
        "kind: [unclosed\n",
    )
    folder.sync()
    assert {(p.document, p.entity_ref, p.owner_ref) for p in folder.problems} == {
        (0, "component:sales/shop", "group:sales/bookings"),
        (1, "component:default/not a name", "user:default/maren"),
        (2, "component:default/stock", ""),
        (3, "", ""),
    }


@pytest.mark.database("postgresql")
def test_after_many_new_entities_the_database_knows_what_is_there(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "MANY", 3)

    def known() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'catalog_entity'")
            return int(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'catalog_entity'::regclass")
    folder.write("many.yaml", *(component(f"c{n}") for n in range(5)))
    folder.sync()
    assert known() > 0
