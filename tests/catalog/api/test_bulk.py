"""Writes to many entities: the preview tells what happens, the job does it once, undo puts it back."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from catalog.models import BulkItem, BulkOperation, Entity, Revision, Source
from catalog.services.bulk import Change, Selection, preview_bulk, start_bulk
from catalog.services.bulk import selection as selections
from portal.audit.models import AuditEvent
from portal.jobs.models import Job
from portal.jobs.running import run_job
from portal.jobs.services import cancel
from tests.catalog.services.test_publishing_races import run_waiting_jobs
from tests.factories.access import UserFactory
from tests.factories.managed import CURATOR, Api, written
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    document,
    entity,
    exists,
)

pytestmark = pytest.mark.django_db(transaction=True)
BULK = "/api/catalog/v1/bulk"
OWNER = {"set": {"spec": {"owner": "team-b"}}}
ALL = {"filter": ["kind=component"]}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return Folder(tmp_path / "company")


@pytest.fixture
def three(api: Api) -> list[str]:
    """Three components; each depends on the next, so a write to one is seen in another."""
    names = ["a", "b", "c"]
    for name, other in zip(names, ["b", "c", "a"], strict=True):
        body = written(name, title=f"The {name}")
        body["spec"]["dependsOn"] = [f"component:{other}"]
        assert api.put(f"component/default/{name}", body).status_code == 201
    return [f"component:default/{name}" for name in names]


def preview(api: Api, do: dict[str, Any], select: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = api.post(BULK, {"select": select or ALL, "do": do, "preview": True})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def start(api: Api, do: dict[str, Any], select: dict[str, Any] | None = None) -> dict[str, Any]:
    token = preview(api, do, select)["token"]
    answer = api.post(BULK, {"select": select or ALL, "do": do, "preview": False, "token": token})
    assert answer.status_code == 202, answer.content
    assert answer["Location"] == f"{BULK}/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def run() -> None:
    for pk in (
        Job.objects.unrestricted("test")
        .filter(kind="catalog.run_bulk", state="queued")
        .values_list("pk", flat=True)
    ):
        run_job(pk)


def do(api: Api, what: dict[str, Any], select: dict[str, Any] | None = None) -> dict[str, Any]:
    """Started and done."""
    started = start(api, what, select)
    run()
    return look(api, started)


def look(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{BULK}/{operation['id']}").json()
    return found


def undo(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"{BULK}/{operation['id']}/undo")
    assert answer.status_code == 202, answer.content
    run()
    return look(api, answer.json())


def owners() -> dict[str, str]:
    rows = Entity.objects.unrestricted("test").filter(kind="component")
    return dict(rows.values_list("ref", "owner_ref"))


# --- preview


def test_a_preview_tells_each_change_and_writes_nothing(api: Api, three: list[str]) -> None:
    api.patch("component/default/b", {"spec": {"owner": "team-b"}})
    before = (owners(), AuditEvent.objects.unrestricted("test").count())
    found = preview(api, OWNER)
    assert found["counts"] == {"change": 2, "unchanged": 1, "refused": 0}
    first = found["items"][0]
    assert (first["ref"], first["outcome"], first["revision"]) == (three[0], "change", 1)
    assert first["differences"] == [{"path": "/spec/owner", "before": "platform", "after": "team-b"}]
    assert (owners(), AuditEvent.objects.unrestricted("test").count()) == before
    assert not BulkOperation.objects.unrestricted("test").exists()


def test_a_preview_says_why_an_entity_is_refused(api: Api, three: list[str], folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    found = preview(api, {"set": {"spec": {"owner": None}}})
    assert found["counts"] == {"change": 0, "unchanged": 0, "refused": 4}
    reasons = {item["ref"]: item["reason"] for item in found["items"]}
    assert reasons["component:default/shop"] == "Declared by the source folder, which would overwrite it."
    assert "owner" in reasons[three[0]]
    kept = preview(api, {"delete": {}}, {"refs": ["component:shop"]})
    assert kept["items"][0]["reason"] == "Declared by the source folder, which would bring it back."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"select": {}, "do": OWNER},
        {"select": {"filter": []}, "do": OWNER},
        {"select": {"filter": ["  "]}, "do": OWNER},
        {"select": {"filter": "kind=x"}, "do": OWNER},
        {"select": {"kind": "x"}, "do": OWNER},
        {"select": {"refs": ["a:b:c/"]}, "do": OWNER},
        {"select": {"query": {"$what": 1}}, "do": OWNER},
        {"select": ALL, "do": {}},
        {"select": ALL, "do": {"set": {}}},
        {"select": ALL, "do": {"set": {"metadata": {"name": "x"}}}},
        {"select": ALL, "do": {"set": {"kind": "API"}}},
        {"select": ALL, "do": {"set": {"relations": []}}},
        {"select": ALL, "do": {"delete": {"force": True}}},
        {"select": ALL, "do": {"delete": {}, "refresh": {}}},
        {"select": ALL, "do": OWNER, "limit": 501},
        {"select": ALL, "do": OWNER, "preview": False},
    ],
)
def test_what_is_no_selection_or_no_change_is_refused_with_a_remedy(api: Api, body: dict[str, Any]) -> None:
    answer = api.post(BULK, body)
    assert answer.status_code == 400, answer.content


def test_more_than_one_operation_may_have_is_refused(
    api: Api, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "MOST", 2)
    for select in (ALL, {"refs": three}):
        answer = api.post(BULK, {"select": select, "do": OWNER})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "catalog.bulk.size")


# --- doing it


def test_fields_of_many_entities_change_and_each_says_what_became_of_it(api: Api, three: list[str]) -> None:
    done = do(api, OWNER)
    assert set(owners().values()) == {"group:default/team-b"}
    assert (done["state"], done["outcomes"]["done"], done["undoable"]) == ("done", 3, True)
    assert [(i["ref"], i["effect"], i["revisionBefore"], i["revisionAfter"]) for i in done["items"]] == [
        (ref, "changed", 1, 2) for ref in three
    ]
    verbs = AuditEvent.objects.unrestricted("test").filter(verb__startswith="catalog.bulk").order_by("pk")
    assert list(verbs.values_list("verb", flat=True)) == ["catalog.bulk.started", "catalog.bulk.done"]
    assert_catalog_is_consistent()


def test_a_token_is_worth_nothing_once_something_changed(api: Api, three: list[str]) -> None:
    token = preview(api, OWNER)["token"]
    body = {"select": ALL, "do": OWNER, "preview": False, "token": token}
    other = {**body, "do": {"set": {"spec": {"owner": "team-c"}}}}
    assert api.post(BULK, other).json()["error"]["code"] == "catalog.bulk.changed"
    api.patch("component/default/a", {"metadata": {"title": "x"}})
    assert api.post(BULK, body).status_code == 409
    api.delete("component/default/a", if_match="*")
    assert api.post(BULK, body).status_code == 409
    assert not BulkOperation.objects.unrestricted("test").exists()


def test_what_changes_between_start_and_job_is_left_as_it_is_and_listed(api: Api, three: list[str]) -> None:
    started = start(api, OWNER)
    api.patch("component/default/b", {"metadata": {"title": "mine"}})
    api.delete("component/default/c", if_match="*")
    run()
    found = look(api, started)
    outcomes = {item["ref"]: (item["outcome"], item["reason"]) for item in found["items"]}
    assert outcomes[three[0]] == ("done", None)
    assert outcomes[three[1]][0] == outcomes[three[2]][0] == "refused"
    assert "changed since, by maren" in outcomes[three[1]][1]
    assert owners()[three[1]] == "group:default/platform"
    assert [i["ref"] for i in api.get(f"{BULK}/{started['id']}?outcome=refused").json()["items"]] == three[1:]


def test_the_same_start_sent_again_is_one_operation(api: Api, three: list[str]) -> None:
    token = preview(api, OWNER)["token"]
    body = {"select": ALL, "do": OWNER, "preview": False, "token": token}
    first = api.post(BULK, body, idempotency_key="k1")
    run()
    again = api.post(BULK, body, idempotency_key="k1")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert BulkOperation.objects.unrestricted("test").count() == 1


# --- undo


def test_undo_puts_back_what_changed_and_can_be_undone(api: Api, three: list[str]) -> None:
    before = {ref: document(ref)["spec"] for ref in three}
    done = do(api, OWNER)
    back = undo(api, done)
    assert {ref: document(ref)["spec"] for ref in three} == before
    assert (back["undoes"], back["outcomes"]["done"]) == (done["id"], 3)
    assert look(api, done)["undoneBy"] == back["id"]
    assert look(api, done)["undoable"] is False
    assert api.post(f"{BULK}/{done['id']}/undo").json()["error"]["code"] == "catalog.bulk.undone"
    again = undo(api, back)
    assert set(owners().values()) == {"group:default/team-b"}
    assert again["outcomes"]["done"] == 3
    assert_catalog_is_consistent()


def test_undo_leaves_what_others_changed_since_and_lists_it(api: Api, three: list[str]) -> None:
    done = do(api, OWNER)
    api.patch("component/default/b", {"metadata": {"title": "mine"}})
    back = undo(api, done)
    assert {i["ref"]: i["outcome"] for i in back["items"]} == {
        three[0]: "done",
        three[1]: "refused",
        three[2]: "done",
    }
    assert owners()[three[1]] == "group:default/team-b"
    assert document(three[1])["metadata"]["title"] == "mine"


def test_deleted_entities_come_back_under_their_uids_and_go_again(api: Api, three: list[str]) -> None:
    uids = {ref: entity(ref).uid for ref in three}
    done = do(api, {"delete": {}}, {"refs": three})
    assert done["outcomes"]["done"] == 3
    assert not any(exists(ref) for ref in three)
    back = undo(api, done)
    assert {ref: entity(ref).uid for ref in three} == uids
    assert {entity(ref).source.name for ref in three} == {"Callboard"}
    assert_catalog_is_consistent()
    assert undo(api, back)["outcomes"]["done"] == 3
    assert not any(exists(ref) for ref in three)


def test_an_unregistered_source_takes_its_entities_along_and_undo_brings_all_back(
    api: Api, folder: Folder
) -> None:
    folder.write("many.yaml", *(component(f"c{n}") for n in range(5)))
    folder.sync()
    uids = dict(Entity.objects.unrestricted("test").filter(kind="component").values_list("ref", "uid"))
    select = {"refs": ["component:c1", "component:c2"]}
    found = preview(api, {"unregister": {}}, select)
    assert found["items"][0]["ref"] == "folder"
    assert found["items"][0]["reason"] == "Takes 6 entities with it, 2 of them among these."
    done = do(api, {"unregister": {}}, select)
    assert not Source.objects.unrestricted("test").exists()
    assert not Entity.objects.unrestricted("test").exists()
    back = undo(api, done)
    assert back["items"][0]["reason"] == "6 entities came back with it."
    run_waiting_jobs()
    again = Source.objects.unrestricted("test").get()
    assert (again.pk, again.name, again.pattern) == (folder.source.pk, "folder", "**/*.yaml")
    assert (
        dict(Entity.objects.unrestricted("test").filter(kind="component").values_list("ref", "uid")) == uids
    )
    assert {e.state for e in Entity.objects.unrestricted("test")} == {"active"}
    assert_catalog_is_consistent()


def test_many_entities_of_a_source_come_back_in_several_steps(
    api: Api, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.services.bulk.items.TOGETHER", 2)
    folder.write("many.yaml", *(component(f"c{n}") for n in range(5)))
    folder.sync()
    done = do(api, {"unregister": {}}, {"refs": ["component:c1"]})
    assert undo(api, done)["items"][0]["reason"] == "6 entities came back with it."


def test_reading_sources_again_queues_each_once_and_is_nothing_to_undo(
    api: Api, folder: Folder, three: list[str]
) -> None:
    folder.write("many.yaml", *(component(f"d{n}") for n in range(3)))
    folder.sync()
    done = do(api, {"refresh": {}})
    assert done["outcomes"] == {"pending": 0, "done": 1, "unchanged": 0, "refused": 1}
    assert Job.objects.unrestricted("test").filter(kind="catalog.sync_source", state="queued").count() == 1
    assert api.post(f"{BULK}/{done['id']}/undo").json()["error"]["code"] == "catalog.bulk.nothing"


def test_what_still_runs_is_not_undone_and_what_was_cancelled_is_as_far_as_it_came(
    api: Api, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.services.bulk.running.BATCH", 1)
    started = start(api, OWNER)
    assert api.post(f"{BULK}/{started['id']}/undo").json()["error"]["code"] == "catalog.bulk.running"
    job = Job.objects.unrestricted("test").get(pk=started["job"])
    from catalog.services.bulk import running

    real = running.do_item

    def cancel_after_one(**values: Any) -> Any:
        result = real(**values)
        Job.objects.filter(pk=job.pk).update(cancel_requested=True)
        return result

    monkeypatch.setattr(running, "do_item", cancel_after_one)
    from portal.jobs import running as jobs

    checked = jobs.JobContext.checkpoint

    def checkpoint(self: Any) -> None:
        if Job.objects.unrestricted("test").filter(pk=self.job.pk, cancel_requested=True).exists():
            self._cancelled.set()
        checked(self)

    monkeypatch.setattr(jobs.JobContext, "checkpoint", checkpoint)
    run_job(job.pk)
    monkeypatch.setattr(running, "do_item", real)
    found = look(api, started)
    assert (found["state"], found["outcomes"]["done"], found["outcomes"]["pending"]) == ("cancelled", 1, 2)
    assert undo(api, found)["outcomes"]["done"] == 1
    assert set(owners().values()) == {"group:default/platform"}


# --- who, and what survives


def test_who_may_not_curate_sees_and_starts_nothing(api: Api, three: list[str]) -> None:
    started = start(api, OWNER)
    member = Api(UserFactory(username="elif"), text="cb_member")
    for answer in (
        member.get(BULK),
        member.get(f"{BULK}/{started['id']}"),
        member.post(BULK, {"select": ALL, "do": OWNER}),
        member.post(f"{BULK}/{started['id']}/undo"),
    ):
        assert answer.status_code == 403


def test_past_operations_are_listed_newest_first_a_page_at_a_time(api: Api, three: list[str]) -> None:
    made = [do(api, {"set": {"metadata": {"title": f"t{n}"}}})["id"] for n in range(3)]
    first = api.get(f"{BULK}?limit=2").json()
    assert [each["id"] for each in first["items"]] == made[:0:-1]
    rest = api.get(f"{BULK}?limit=2&cursor={first['nextCursor']}").json()
    assert ([each["id"] for each in rest["items"]], "nextCursor" in rest) == (made[:1], False)
    assert api.get(f"{BULK}?cursor=x").status_code == 400
    items = api.get(f"{BULK}/{made[0]}?limit=2").json()
    more = api.get(f"{BULK}/{made[0]}?limit=2&cursor={items['nextCursor']}").json()
    assert [i["ref"] for i in items["items"] + more["items"]] == three
    assert api.get(f"{BULK}/{made[0]}?outcome=x").status_code == 400


@pytest.mark.parametrize("kills", [1, 3])
def test_a_worker_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice(
    api: Api, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own does the job and is killed -9 in the middle of a transaction; the next one goes on."""
    refs = []
    for number in range(8):
        api.put(f"component/default/s{number}", written(f"s{number}"))
        refs.append(f"component:default/s{number}")
    selection, change = Selection(refs=tuple(refs)), Change.of(OWNER)
    token = preview_bulk(actor=CURATOR, selection=selection, change=change).token
    operation = start_bulk(actor=CURATOR, selection=selection, change=change, token=token)
    for kill in range(kills):
        _die_after(operation, items=kill * 2 + 2)
        Job.objects.filter(pk=operation.job_id, state="running").update(state="queued", lease_until=None)
    run_job(operation.job_id)
    items = BulkItem.objects.unrestricted("test").filter(operation=operation)
    assert set(items.values_list("outcome", flat=True)) == {"done"}
    assert set(items.values_list("after_number", flat=True)) == {2}
    for ref in refs:
        assert entity(ref).revision == 2
        numbers = Revision.objects.unrestricted("test").filter(ref=ref).values_list("number", flat=True)
        assert list(numbers) == [1]
    assert BulkOperation.objects.unrestricted("test").get().state == "done"
    assert_catalog_is_consistent()


def _die_after(operation: BulkOperation, *, items: int) -> None:
    connection.close()
    child = os.fork()
    if child == 0:
        from catalog.services.bulk import running

        running.BATCH, real, seen = 3, running.do_item, [0]

        def do_item(**values: Any) -> Any:
            result = real(**values)
            seen[0] += 1
            if seen[0] == items:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        running.do_item = do_item
        try:
            run_job(operation.job_id)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a_job_that_was_cancelled_before_it_began_leaves_an_operation_that_is_over(
    api: Api, three: list[str]
) -> None:
    started = start(api, OWNER)
    cancel(actor=SYSTEM, job=Job.objects.unrestricted("test").get(pk=started["job"]))
    assert api.post(f"{BULK}/{started['id']}/undo").json()["error"]["code"] == "catalog.bulk.nothing"
