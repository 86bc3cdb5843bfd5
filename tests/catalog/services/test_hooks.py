"""Webhooks end to end: a push through the real endpoint, from a real Git server, to the entity in the catalog."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import connections
from django.test import override_settings
from django.utils import timezone
from prometheus_client import REGISTRY

from catalog.ingest.pushes.signatures import plain_signature
from catalog.models import Hook, HookDelivery, Source, SourceFile, Sync
from catalog.services.hooks import (
    create_hook,
    delete_hook,
    forget_old_deliveries,
    receive_delivery,
    receiving,
    replay_delivery,
    rotate_secret,
    secrets_of,
    update_hook,
)
from catalog.services.sources import create_source, delete_source
from portal.audit.models import AuditEvent
from portal.connections.services import save_connection
from portal.core.errors import ConflictError, InputError
from portal.jobs.models import Job, Schedule
from portal.jobs.running import run_job
from portal.jobs.services import tick
from tests.factories.hooks import SECRET, SYSTEM, deliver, deliveries, make_hook, push
from tests.factories.sources import component, entity, exists
from tests.factories.world import make_source
from tests.services.git_server import GitServer, git_server

__all__ = ["git_server"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R019")]


def waiting() -> list[Job]:
    return list(Job.objects.unrestricted("test").filter(state=Job.State.QUEUED, kind="catalog.sync_source"))


def work() -> None:
    """What a worker does meanwhile."""
    for job in waiting():
        assert run_job(job.pk) == Job.State.SUCCEEDED, Job.objects.unrestricted("test").get(pk=job.pk).error


def metric(provider: str, verdict: str) -> float:
    labels = {"provider": provider, "verdict": verdict}
    return REGISTRY.get_sample_value("callboard_hook_deliveries_total", labels) or 0.0


@pytest.fixture
def shop(git_server: GitServer) -> Iterator[Any]:
    """A repository of which one component was read."""
    save_connection(
        actor=SYSTEM,
        name="test-git",
        kind="plain",
        host=git_server.host,
        base_url=git_server.base,
        allow_private=True,
    )
    repository = git_server.repository("acme/shop")
    repository.commit({"catalog-info.yaml": component("shop", extra="description: before")})
    create_source(
        actor=SYSTEM, name="shop", type=Source.Type.GIT, target=git_server.url("acme/shop"), interval=300
    )
    work()
    assert exists("component:default/shop")
    return repository


def described() -> str:
    text: str = orjson.loads(entity("component:default/shop").document.text)["metadata"]["description"]
    return text


def changes() -> int:
    """How often any reading changed something."""
    return Sync.objects.unrestricted("test").filter(changed__gt=0).count()


def test_the_same_delivery_twice_is_one_change(shop: Any, git_server: GitServer) -> None:
    hook = make_hook()
    commit = shop.commit({"catalog-info.yaml": component("shop", extra="description: after")})
    payload = push(git_server.url("acme/shop"), commit=commit)
    duplicates = metric("github", "duplicate")

    first = deliver(hook, payload, id="one")
    assert first.status_code == 202
    assert first.json()["verdict"] == "queued"
    (job,) = first.json()["jobs"]
    work()
    assert (described(), changes()) == ("after", 1)

    again = deliver(hook, payload, id="one")
    assert (again.status_code, again.json()["verdict"], again.json()["jobs"]) == (200, "duplicate", [])
    assert waiting() == []
    work()
    assert changes() == 1
    (row,) = deliveries(hook)
    assert (row.verdict, row.duplicates, row.commit, row.branch) == ("queued", 1, commit, "main")
    assert row.targets == [{"source": str(Source.objects.get(name="shop").pk), "name": "shop", "job": job}]
    assert metric("github", "duplicate") == duplicates + 1


def test_a_dropped_webhook_is_repaired_by_the_scheduled_sync(shop: Any) -> None:
    shop.commit({"catalog-info.yaml": component("shop", extra="description: after")})
    # The host could not reach us: nothing came in. The schedule does not know of it.
    assert HookDelivery.objects.unrestricted("test").count() == 0
    assert tick() == 0, "it is not due yet"
    Schedule.objects.unrestricted("test").filter(kind="catalog.sync_source").update(
        next_run_at=timezone.now()
    )
    assert tick() == 1
    work()
    assert (described(), changes()) == ("after", 1)


def test_two_of_the_same_at_the_same_moment_are_one(shop: Any, git_server: GitServer) -> None:
    hook = make_hook()
    payload = push(git_server.url("acme/shop"))
    barrier, answers = threading.Barrier(4), []

    def send() -> None:
        try:
            barrier.wait()
            answers.append(deliver(hook, payload, id="same").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 200, 200, 202]
    (row,) = deliveries(hook)
    assert row.duplicates == 3
    assert len(waiting()) == 1


def test_the_delivery_and_its_jobs_are_written_together_or_not_at_all(
    shop: Any, git_server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = make_hook()

    def dies(**_: Any) -> None:
        raise RuntimeError("killed between the row and the job")

    monkeypatch.setattr(receiving, "request_sync", dies)
    with pytest.raises(RuntimeError):
        deliver(hook, push(git_server.url("acme/shop")), id="one")
    assert deliveries(hook) == []
    monkeypatch.undo()
    assert deliver(hook, push(git_server.url("acme/shop")), id="one").status_code == 202, (
        "so the host's retry counts"
    )


def test_a_delivery_that_is_not_signed_says_and_leaves_nothing(shop: Any, git_server: GitServer) -> None:
    hook, payload = make_hook(), push(git_server.url("acme/shop"))
    refusals = metric("unknown", "refused")
    wrong = deliver(hook, payload, secret="some other secret")
    missing = deliver(hook, payload, **{"X-Hub-Signature-256": ""})
    nowhere = deliver(Hook(), payload)
    update_hook(actor=SYSTEM, hook=hook, changes={"enabled": False})
    off = deliver(hook, payload)
    bodies = set()
    for answer in (wrong, missing, nowhere, off):
        assert answer.status_code == 401
        error = answer.json()["error"]
        error.pop("requestId")
        bodies.add(str(error))
    assert len(bodies) == 1, "the answers tell nothing apart"
    assert deliveries(hook) == []
    assert waiting() == []
    assert metric("unknown", "refused") == refusals + 4
    noted = Hook.objects.unrestricted("test").get(pk=hook.pk).refused_at
    assert noted is not None


def test_refusals_are_noted_once_a_minute(shop: Any) -> None:
    hook = make_hook()
    deliver(hook, {}, secret="some other secret")
    first = Hook.objects.unrestricted("test").get(pk=hook.pk).refused_at
    assert first is not None
    deliver(hook, {}, secret="some other secret")
    assert Hook.objects.unrestricted("test").get(pk=hook.pk).refused_at == first


@pytest.mark.parametrize(
    ("branch", "default", "verdict", "message"),
    [
        ("feature", "main", "nothing", "shop follows another branch than feature."),
        ("refs/tags/v1", "main", "nothing", "shop follows another branch than tag v1."),
        ("trunk", "trunk", "queued", "Reads shop."),
        ("whatever", "", "queued", "Reads shop."),
    ],
)
def test_a_source_without_branch_follows_the_default_branch(
    git_server: GitServer, branch: str, default: str, verdict: str, message: str
) -> None:
    make_source("shop", type="git", target="https://git.acme.example/acme/shop.git")
    hook = make_hook()
    deliver(hook, push("https://git.acme.example/Acme/Shop", branch, default=default))
    (row,) = deliveries(hook)
    assert (row.verdict, row.message) == (verdict, message)


def test_every_sort_of_source_is_found_by_repository_and_branch() -> None:
    def source(name: str, target: str, **values: Any) -> Source:
        return make_source(name, target=target, **values)

    repository = "https://github.com/acme/shop.git"
    source("ssh", "git@github.com:acme/shop.git", type="git")
    source("at dev", "ssh://git@GitHub.com:22/acme/shop", type="git", branch="dev")
    source("at a tag", repository, type="git", branch="v1")
    source("page", "https://github.com/acme/shop/blob/main/catalog-info.yaml")
    source("page at dev", "https://github.com/acme/shop/blob/dev/catalog-info.yaml")
    source("page at a commit", f"https://github.com/acme/shop/blob/{'c' * 40}/catalog-info.yaml")
    source("another", "https://github.com/acme/shop-2.git", type="git")
    source("other host", "https://git.example.com/acme/shop.git", type="git")
    source("off", "https://github.com/acme/shop", type="git", enabled=False)
    through = source("through a location", "https://web.example.com/all.yaml")
    for url in (
        "https://web.example.com/all.yaml",
        "https://github.com/acme/shop/blob/main/api/catalog-info.yaml",
    ):
        SourceFile.objects.create(source=through, url=url, digest="d")
    elsewhere = source("location elsewhere", "https://web.example.com/other.yaml")
    SourceFile.objects.create(
        source=elsewhere, url="https://github.com/acme/shop-2/blob/main/a.yaml", digest="d"
    )
    hook = make_hook()

    deliver(hook, push(repository))
    assert [t["name"] for t in deliveries(hook)[-1].targets] == sorted(
        ["ssh", "page", "through a location"], key=lambda name: Source.objects.get(name=name).pk
    )
    deliver(hook, push(repository, "dev"))
    assert {t["name"] for t in deliveries(hook)[-1].targets} == {"at dev", "page at dev"}
    deliver(hook, push(repository, "refs/tags/v1"))
    assert {t["name"] for t in deliveries(hook)[-1].targets} == {"at a tag"}


def test_a_deleted_branch_and_a_source_that_is_off_are_nothing_to_do() -> None:
    source = make_source("shop", type="git", target="https://github.com/acme/shop.git", branch="dev")
    hook = make_hook()
    gone = push("https://github.com/acme/shop.git", "dev", commit="0" * 40) | {"deleted": True}
    assert deliver(hook, gone).status_code == 200
    Source.objects.filter(pk=source.pk).update(enabled=False)
    deliver(hook, push("https://github.com/acme/shop.git", "dev"))
    deliver(hook, push("https://github.com/acme/unknown.git", "dev"))
    assert [row.message for row in deliveries(hook)] == [
        "dev was deleted.",
        "shop is switched off.",
        "No source that this webhook may read is in acme/unknown.",
    ]
    assert waiting() == []


def test_a_ping_is_answered_and_noted() -> None:
    hook = make_hook()
    answer = deliver(hook, {"zen": "Keep it simple."}, event="ping")
    assert (answer.status_code, answer.json()["verdict"]) == (200, "ping")
    assert deliveries(hook)[0].verdict == "ping"


def test_a_renamed_repository_is_noted_with_the_sources_that_read_it() -> None:
    make_source("shop", type="git", target="https://github.com/acme/old.git", branch="dev")
    hook = make_hook()
    payload = push("https://github.com/acme/shop.git") | {
        "action": "renamed",
        "changes": {"repository": {"name": {"from": "old"}}},
    }
    assert deliver(hook, payload, event="repository").json()["verdict"] == "notice"
    (row,) = deliveries(hook)
    assert row.message == "acme/old moved to https://github.com/acme/shop.git. Look after shop."
    assert [(t["name"], t["job"]) for t in row.targets] == [("shop", "")]
    assert waiting() == []


def test_a_hook_reads_only_the_sources_that_it_names_also_when_they_are_gone() -> None:
    one = make_source("one", type="git", target="https://github.com/acme/shop.git")
    make_source("two", target="https://github.com/acme/shop/blob/main/catalog-info.yaml")
    hook = make_hook(sources=(one,))
    deliver(hook, push("https://github.com/acme/shop.git"))
    assert [t["name"] for t in deliveries(hook)[-1].targets] == ["one"]
    delete_source(actor=SYSTEM, source=one)
    deliver(hook, push("https://github.com/acme/shop.git"))
    assert deliveries(hook)[-1].verdict == "nothing", "without its sources it reads none, not all"
    update_hook(actor=SYSTEM, hook=hook, changes={"sources": []})
    deliver(hook, push("https://github.com/acme/shop.git"))
    assert [t["name"] for t in deliveries(hook)[-1].targets] == ["two"]


def test_a_generic_hook_may_name_a_source() -> None:
    make_source("team a")
    hook = make_hook("generic")
    signed = receive_delivery(
        hook=hook, headers=_generic(b'{"source": "team a"}'), body=b'{"source": "team a"}'
    )
    assert signed.delivery.verdict == "queued"
    body = b'{"source": "nobody"}'
    unknown = receive_delivery(hook=hook, headers=_generic(body), body=body).delivery
    assert unknown.message == "There is no source named nobody that this webhook may read."


def _generic(body: bytes) -> dict[str, str]:
    return {"x-callboard-signature": f"sha256={plain_signature(body, SECRET)}"}


def test_a_body_that_cannot_be_read_is_kept_and_said() -> None:
    hook = make_hook()
    assert deliver(hook, b"{").status_code == 400
    (row,) = deliveries(hook)
    assert row.verdict == "unreadable"
    assert row.message.startswith("The body of the delivery is not JSON")


def test_a_delivery_that_is_too_large_is_not_read() -> None:
    hook = make_hook()
    with override_settings(CALLBOARD_HOOK_MAX_BYTES=100):
        answer = deliver(hook, b" " * 101)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "catalog.hook.too-large"
    assert deliveries(hook) == []


def test_a_push_that_django_would_find_too_large_is_taken() -> None:
    make_source("shop", type="git", target="https://github.com/acme/shop.git")
    payload = push("https://github.com/acme/shop.git") | {"commits": [{"message": "x" * 3_000_000}]}
    hook = make_hook()
    assert deliver(hook, payload).status_code == 202
    assert len(bytes(deliveries(hook)[0].body)) < 100_000


def test_a_replay_looks_with_the_sources_there_are_now() -> None:
    hook = make_hook()
    deliver(hook, push("https://github.com/acme/shop.git"), id="one")
    (first,) = deliveries(hook)
    assert first.verdict == "nothing"
    source = make_source("shop", type="git", target="https://github.com/acme/shop.git")
    again = replay_delivery(actor=SYSTEM, delivery=first)
    assert (again.verdict, again.attempt, again.delivery_id) == ("queued", 1, "one")
    assert [job.payload["source"] for job in waiting()] == [str(source.pk)]
    assert replay_delivery(actor=SYSTEM, delivery=again).attempt == 2
    assert len(waiting()) == 1
    assert AuditEvent.objects.filter(verb="catalog.hook.replayed").count() == 2
    assert deliver(hook, push("https://github.com/acme/shop.git"), id="one").json()["verdict"] == "duplicate"
    update_hook(actor=SYSTEM, hook=hook, changes={"enabled": False})
    with pytest.raises(ConflictError):
        replay_delivery(actor=SYSTEM, delivery=first)


def test_a_new_secret_counts_at_once_and_the_former_one_for_a_while() -> None:
    hook = make_hook()
    made = rotate_secret(actor=SYSTEM, hook=hook, overlap=timedelta(hours=1))
    assert made.secret.startswith("whsec_")
    assert deliver(hook, {}, event="ping", secret=made.secret).status_code == 200
    assert deliver(hook, {}, event="ping", secret=SECRET).status_code == 200
    Hook.objects.filter(pk=hook.pk).update(previous_until=timezone.now())
    assert deliver(hook, {}, event="ping", secret=SECRET).status_code == 401
    assert deliver(hook, {}, event="ping", secret=made.secret).status_code == 200
    with pytest.raises(InputError):
        rotate_secret(actor=SYSTEM, hook=hook, overlap=timedelta(days=31))


def test_a_secret_by_reference_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = make_hook(secret="", secret_ref="env:HOOK_SECRET")
    answer = deliver(hook, {}, event="ping")
    assert answer.status_code == 503, "the host may try again"
    assert "HOOK_SECRET" not in answer.content.decode()
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert deliver(hook, {}, event="ping").status_code == 200
    assert secrets_of(hook) == [SECRET]


def test_the_secret_is_nowhere_in_rows_and_records() -> None:
    hook = make_hook()
    rotate_secret(actor=SYSTEM, hook=hook, secret="another secret of the tests")
    rows = str(Hook.objects.unrestricted("test").values()) + str(
        AuditEvent.objects.filter(verb__startswith="catalog.hook").values("before", "after")
    )
    assert SECRET not in rows
    assert "another secret" not in rows


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"provider": "sourceforge"},
        {"secret": "short"},
        {"secret_ref": "the secret itself"},
        {"secret_ref": "env:CALLBOARD_SECRET_KEY", "secret": ""},
    ],
)
def test_a_hook_that_cannot_work_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        create_hook(actor=SYSTEM, **{"name": "one", "provider": "github", **values})


def test_two_hooks_of_one_name_are_a_conflict() -> None:
    make_hook(name="one")
    with pytest.raises(ConflictError):
        make_hook(name="one")


def test_old_deliveries_are_forgotten_and_the_schedule_for_it_ends_with_the_last_hook() -> None:
    hook = make_hook()
    deliver(hook, {}, event="ping", id="old")
    deliver(hook, {}, event="ping", id="new")
    HookDelivery.objects.unrestricted("test").filter(delivery_id="old").update(
        received_at=timezone.now() - timedelta(days=31)
    )
    assert forget_old_deliveries() == 1
    assert [row.delivery_id for row in deliveries(hook)] == ["new"]
    schedules = Schedule.objects.unrestricted("test").filter(kind="catalog.forget_deliveries")
    assert schedules.count() == 1
    assert delete_hook(actor=SYSTEM, hook=hook) == 1
    assert schedules.count() == 0
