"""Jobs, schedules, connections and plugins: what a person does to them is recorded."""

from __future__ import annotations

import pytest
from django.test import Client

from portal.connections.models import Connection
from portal.jobs.models import Job, Schedule
from portal.plugins.models import ExtensionState
from portal.plugins.registry import registry
from tests.admin.looking import CONFIRMED, errors_of, last, said_in, verbs
from tests.factories.jobs import JobFactory
from tests.factories.world import World
from tests.services.http_server import Reply, serving


def test_a_job_is_cancelled_from_its_page_and_from_the_list(world: World, curator: Client) -> None:
    job, other = JobFactory(), JobFactory()
    curator.post(f"/admin/jobs/job/{job.pk}/cancel/", CONFIRMED)
    data = {"action": "cancel_chosen", "_selected_action": [other.pk, world.job.pk]}
    assert "1 cancelled, 1 were over" in said_in(curator.post("/admin/jobs/job/", data, follow=True))
    assert set(Job.objects.filter(pk__in=[job.pk, other.pk]).values_list("state", flat=True)) == {"cancelled"}
    assert "over already" in said_in(
        curator.post(f"/admin/jobs/job/{job.pk}/cancel/", CONFIRMED, follow=True)
    )
    assert verbs() == ["jobs.job.cancelled"] * 2


def test_a_schedule_is_paused_and_slowed_down_but_does_what_it_does(world: World, curator: Client) -> None:
    data = {"every": "600", "jitter": "5", "name": "other", "kind": "evil"}
    assert curator.post(f"/admin/jobs/schedule/{world.schedule.pk}/change/", data).status_code == 302
    row = Schedule.objects.get(pk=world.schedule.pk)
    assert (row.every, row.jitter, row.enabled, row.kind) == (600, 5, False, "tests.echo")
    assert verbs() == ["jobs.schedule.changed"]


CONNECTION = {
    "name": "work", "kind": "gitlab", "host": "GitLab.Acme.example", "enabled": "on", "allowed_prefixes": '["acme/"]',
    "purposes": ["read"], "username": "", "credential": "env:GITLAB_TOKEN", "base_url": "", "api_url": "",
    "read_over": "git", "rate_per_minute": "0",
}  # fmt: skip


def test_a_connection_is_tidied_by_its_service(world: World, curator: Client) -> None:
    assert curator.post("/admin/connections/connection/add/", CONNECTION).status_code == 302
    made = Connection.objects.get(name="work")
    assert (made.host, made.allowed_prefixes) == ("gitlab.acme.example", ["/acme"])
    data = {**CONNECTION, "host": made.host, "allowed_prefixes": '["/acme"]', "credential": "file:gitlab"}
    assert curator.post(f"/admin/connections/connection/{made.pk}/change/", data).status_code == 302
    assert last().after == {"credential": "file:gitlab"}
    assert (
        curator.post(f"/admin/connections/connection/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    )
    assert [verb.rpartition(".")[2] for verb in verbs()] == ["created", "changed", "deleted"]


def test_a_secret_typed_as_a_reference_is_refused_and_not_repeated(world: World, curator: Client) -> None:
    answer = curator.post(
        "/admin/connections/connection/add/", {**CONNECTION, "credential": "ghp_0123456789abcdef"}
    )
    said = errors_of(answer)
    assert "the secret itself must not be stored" in said and "ghp_" not in said
    assert answer.context["adminform"].form.errors["credential"]


def test_a_connection_is_checked_from_its_page(world: World, curator: Client) -> None:
    with serving(lambda _: Reply(401, b"")) as server:
        row = Connection.objects.get(pk=world.connection.pk)
        Connection.objects.filter(pk=row.pk).update(
            host="127.0.0.1", base_url=f"http://127.0.0.1:{server.port}", allow_private=True, credential=""
        )
        url = f"/admin/connections/connection/{row.pk}/check-now/"
        assert "refused the credential" in said_in(curator.post(url, CONFIRMED, follow=True))


# -------------------------------------------------------------------------------------------------------------- plugins


def test_a_switch_is_flipped_recorded_and_seen(world: World, curator: Client) -> None:
    page = curator.get("/admin/plugins/").content.decode()
    assert "home_card:kinds" in page and "plugin:catalog" in page
    data = {"key": "home_card:kinds", "enabled": "0"}
    assert "is off" in said_in(curator.post("/admin/plugins/", data, follow=True))
    assert not ExtensionState.objects.get(key="home_card:kinds").enabled
    assert (last().verb, last().object_id) == ("plugins.switch.off", "home_card:kinds")
    registry.forget_switches()
    assert "home_card:kinds" in registry.switched_off()
    curator.post("/admin/plugins/", {**data, "enabled": "1"})
    registry.forget_switches()
    assert "home_card:kinds" not in registry.switched_off()


def test_a_switch_that_does_not_exist_is_refused(world: World, curator: Client) -> None:
    answer = curator.post("/admin/plugins/", {"key": "home_card:nobody", "enabled": "0"}, follow=True)
    assert "No plugin registered home_card:nobody" in said_in(answer)
    assert verbs() == [] and not ExtensionState.objects.exists()


# ---------------------------------------------------------------------------------------------------------------- guard


@pytest.mark.parametrize(
    "url", ["/admin/jobs/job/{job}/cancel/", "/admin/catalog/source/{source}/sync-now/", "/admin/plugins/"]
)
def test_nothing_happens_without_the_secret_of_the_form(world: World, url: str) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(world.staff)
    answer = careful.post(url.format(job=world.job.pk, source=world.source.pk), CONFIRMED)
    assert answer.status_code == 403 and verbs() == []


def test_the_history_of_a_row_shows_who_did_what_anywhere(world: World, curator: Client) -> None:
    page = curator.get(f"/admin/catalog/source/{world.source.pk}/history/").content.decode()
    assert "user:curator" in page and "catalog.source.created" in page
