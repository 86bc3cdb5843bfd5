"""What is written in the admin goes through the services, is recorded, and what they refuse comes back in the form."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from catalog.models import AnnotationDefinition, Kind, KindVersion, Source, TagDefinition
from catalog.services.kinds import current_registry
from portal.access.models import Membership, Principal, Token, User
from portal.access.services import viewer_of_token
from portal.audit.models import AuditEvent
from portal.connections.models import Connection
from portal.jobs.models import Job, Schedule
from portal.plugins.models import ExtensionState
from portal.plugins.registry import registry
from tests.factories.jobs import JobFactory
from tests.factories.world import World
from tests.services.http_server import Reply, serving

CONFIRMED = {"_form_submitted": "True"}


def _verbs() -> list[str]:
    """What was recorded since the world was made."""
    return list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))[1:]


def _last() -> AuditEvent:
    return AuditEvent.objects.order_by("id").last()  # type: ignore[return-value]  # there is one


def _errors(answer: Any) -> str:
    """What the form says."""
    assert answer.status_code == 200, answer
    form = answer.context["adminform"].form
    said = [str(error) for errors in form.errors.values() for error in errors]
    for inline in answer.context["inline_admin_formsets"]:
        for each in inline.formset.errors:
            said += [str(error) for errors in each.values() for error in errors]
        said += [str(error) for error in inline.formset.non_form_errors()]
    return " ".join(said)


def _said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


# --------------------------------------------------------------------------------------------------------------- people


def test_a_person_is_created_with_a_password_that_works_and_appears_nowhere(
    world: World, curator: Client
) -> None:
    data = {
        "username": "maren",
        "full_name": "Maren Holt",
        "email": "maren@example.org",
        "password": "callboard-4711",
    }
    answer = curator.post("/admin/access/user/add/", data)
    assert answer.status_code == 302
    person = User.objects.get(username="maren")
    assert (person.first_name, person.last_name, person.is_staff) == ("Maren", "Holt", False)
    assert Client().login(username="maren", password="callboard-4711")
    assert _verbs() == ["access.user.created"]
    assert "4711" not in json.dumps([_last().before, _last().after])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"username": "Curator"}, "already a person named Curator"),
        ({"username": "new", "password": "short"}, "too short"),
        ({"username": "with space"}, "valid username"),
    ],
)
def test_a_person_that_cannot_be_is_refused_in_the_form(
    world: World, curator: Client, data: dict[str, str], what: str
) -> None:
    assert what in _errors(curator.post("/admin/access/user/add/", data))
    assert _verbs() == []


def test_a_change_of_a_person_records_what_changed(world: World, curator: Client) -> None:
    data = {"username": "member", "first_name": "Elif", "last_name": "", "email": world.member.email}
    assert (
        curator.post(f"/admin/access/user/{world.member.pk}/change/", {**data, "is_active": "on"}).status_code
        == 302
    )
    assert _last().verb == "access.user.changed"
    assert (_last().before, _last().after) == ({"first_name": ""}, {"first_name": "Elif"})


def test_nobody_locks_themselves_out(world: World, curator: Client) -> None:
    data = {
        "username": "curator",
        "first_name": "",
        "last_name": "",
        "email": world.staff.email,
        "is_active": "on",
    }
    answer = curator.post(f"/admin/access/user/{world.staff.pk}/change/", data)
    assert "lock yourself out" in _errors(answer)
    world.staff.refresh_from_db()
    assert world.staff.is_staff


def test_only_a_superuser_makes_superusers(world: World, curator: Client) -> None:
    User.objects.filter(pk=world.staff.pk).update(is_superuser=False)
    data = {
        "username": "member",
        "first_name": "",
        "last_name": "",
        "email": world.member.email,
        "is_active": "on",
    }
    curator.post(f"/admin/access/user/{world.member.pk}/change/", {**data, "is_superuser": "on"})
    world.member.refresh_from_db()
    assert not world.member.is_superuser


def test_deactivating_people_ends_their_sessions_and_tokens(world: World, curator: Client) -> None:
    browser = Client()
    browser.force_login(world.member)
    data = {"action": "deactivate", "_selected_action": [world.member.pk]}
    assert "1 deactivated" in _said(curator.post("/admin/access/user/", data, follow=True))
    assert browser.get("/catalog/").status_code == 302
    assert viewer_of_token(world.tokens["member"]) is None
    assert _last().verb == "access.user.changed"


def test_a_new_password_is_asked_for_in_a_dialog(world: World, curator: Client) -> None:
    url = f"/admin/access/user/{world.member.pk}/new-password/"
    assert b'type="password"' in curator.get(url).content
    assert b"too short" in curator.post(url, {**CONFIRMED, "password": "x"}, follow=True).content
    answer = curator.post(url, {**CONFIRMED, "password": "callboard-4711"}, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == f"/admin/access/user/{world.member.pk}/change/"
    assert Client().login(username="member", password="callboard-4711")
    assert _last().verb == "access.user.password_set" and "4711" not in json.dumps(_last().after)


def test_identities_and_memberships_made_by_hand_are_recorded(world: World, curator: Client) -> None:
    data = {
        "kind": "group",
        "ref": "group:default/new",
        "title": "New",
        "email": "",
        "user": "",
        "source": "admin",
    }
    assert curator.post("/admin/access/principal/add/", {**data, "active": "on"}).status_code == 302
    group = Principal.objects.get(ref="group:default/new")
    again = curator.post("/admin/access/principal/add/", {**data, "active": "on"})
    assert "already exists" in _errors(again)
    data = {"member": world.principal.pk, "group": group.pk, "source": "admin"}
    assert curator.post("/admin/access/membership/add/", data).status_code == 302
    made = Membership.objects.get(group=group)
    assert curator.post(f"/admin/access/membership/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    assert _verbs() == ["access.principal.created", "access.membership.created", "access.membership.deleted"]


# --------------------------------------------------------------------------------------------------------------- tokens


def test_the_text_of_a_token_is_shown_once_and_works(world: World, curator: Client) -> None:
    data = {"user": world.member.pk, "name": "CI", "scopes": ["view"], "expires_at_0": "", "expires_at_1": ""}
    answer = curator.post("/admin/access/token/add/", data)
    token = Token.objects.get(name="CI")
    text = answer.context["text"]
    assert (
        answer.status_code == 200
        and text in answer.content.decode()
        and "no-store" in answer["Cache-Control"]
    )
    viewer = viewer_of_token(text)
    assert viewer is not None and viewer.user_id == world.member.pk and viewer.scopes == frozenset(["view"])
    for page in ("/admin/access/token/", f"/admin/access/token/{token.pk}/change/"):
        assert text not in curator.get(page).content.decode()
    assert _verbs() == ["access.token.created"] and text not in json.dumps(_last().after)


def test_a_token_that_would_have_expired_is_refused_in_the_form(world: World, curator: Client) -> None:
    past = timezone.now() - timedelta(days=1)
    data = {
        "user": world.member.pk,
        "name": "CI",
        "expires_at_0": f"{past:%Y-%m-%d}",
        "expires_at_1": "08:00:00",
    }
    assert "expired already" in _errors(curator.post("/admin/access/token/add/", data))


def test_a_token_is_revoked_from_its_page_and_from_the_list(world: World, curator: Client) -> None:
    url = f"/admin/access/token/{world.token.pk}/revoke/"
    assert curator.get(url).status_code == 200
    assert Token.objects.get(pk=world.token.pk).revoked_at is None, "asking is not doing"
    curator.post(url, CONFIRMED)
    assert Token.objects.get(pk=world.token.pk).revoked_at is not None
    assert "revoked already" in _said(curator.post(url, CONFIRMED, follow=True))
    other = Token.objects.exclude(pk=world.token.pk).get()
    data = {"action": "revoke_chosen", "_selected_action": [other.pk, world.token.pk]}
    assert "1 revoked" in _said(curator.post("/admin/access/token/", data, follow=True))
    assert _verbs() == ["access.token.revoked", "access.token.revoked"]


# -------------------------------------------------------------------------------------------------------------- sources

SOURCE = {
    "name": "shop", "type": "url", "target": "https://git.acme.example/shop/catalog-info.yaml", "branch": "",
    "pattern": "", "presence": "required", "priority": "100", "enabled": "on", "interval": "300",
}  # fmt: skip


def test_a_source_is_registered_scheduled_and_read(world: World, curator: Client) -> None:
    data = {**SOURCE, "allowed_kinds": ["Component", "API"]}
    assert curator.post("/admin/catalog/source/add/", data).status_code == 302
    source = Source.objects.get(name="shop")
    assert source.allowed_kinds == ["Component", "API"] and source.registered_by == "admin"
    assert source.registered_actor == "user:curator"
    assert Job.objects.filter(key=f"catalog.sync:{source.pk}", state="queued").exists()
    assert Schedule.objects.filter(name=f"catalog.sync:{source.pk}", every=300).exists()
    assert "catalog.source.created" in _verbs()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"target": "javascript:alert(1)"}, "no place to read from"),
        ({"target": "https://git.acme.example/team-a/catalog-info.yaml"}, "already exists"),
        ({"name": "team-a"}, "already exists"),
        ({"type": "file", "target": "/etc"}, "not one of the available choices"),
        ({"allowed_kinds": ["Sensor"]}, "Select a valid choice"),
    ],
)
def test_a_source_that_the_service_refuses_comes_back_with_everything_typed(
    world: World, curator: Client, change: dict[str, Any], what: str
) -> None:
    answer = curator.post("/admin/catalog/source/add/", {**SOURCE, **change})
    assert what in _errors(answer)
    assert Source.objects.count() == 1 and _verbs() == []
    assert answer.context["adminform"].form["pattern"].value() == SOURCE["pattern"]


def test_a_change_of_a_source_is_recorded_and_read(world: World, curator: Client) -> None:
    data = {**SOURCE, "name": "team-a", "target": world.source.target, "interval": "60"}
    assert curator.post(f"/admin/catalog/source/{world.source.pk}/change/", data).status_code == 302
    change = AuditEvent.objects.get(verb="catalog.source.changed")
    assert (change.before, change.after) == ({"interval": 300}, {"interval": 60})
    assert change.actor == "user:curator" and change.address == "127.0.0.1"


def test_which_folder_of_the_machine_is_read_is_not_decided_here(world: World, curator: Client) -> None:
    Source.objects.filter(pk=world.source.pk).update(
        type="file", target="/srv/catalog", registered_by="command"
    )
    data = {**SOURCE, "name": "team-a", "type": "file", "target": "/etc", "interval": "60"}
    assert curator.post(f"/admin/catalog/source/{world.source.pk}/change/", data).status_code == 302
    world.source.refresh_from_db()
    assert (world.source.target, world.source.interval) == ("/srv/catalog", 60)


def test_sync_now_queues_one_job_from_the_page_and_the_list(world: World, curator: Client) -> None:
    url = f"/admin/catalog/source/{world.source.pk}/sync-now/"
    assert (
        b"Sync now" in curator.get(url).content
        and not Job.objects.filter(kind="catalog.sync_source").exists()
    )
    assert "will be read" in _said(curator.post(url, CONFIRMED, follow=True))
    data = {"action": "sync_chosen", "_selected_action": [world.source.pk]}
    assert "1 will be read" in _said(curator.post("/admin/catalog/source/", data, follow=True))
    assert Job.objects.filter(kind="catalog.sync_source").count() == 1


def test_a_deleted_source_takes_what_it_declared_along(world: World, curator: Client) -> None:
    page = curator.get(f"/admin/catalog/source/{world.source.pk}/delete/")
    assert page.status_code == 200 and b"team-a" in page.content
    answer = curator.post(f"/admin/catalog/source/{world.source.pk}/delete/", {"post": "yes"}, follow=True)
    assert not Source.objects.exists() and "2 entities went with it" in _said(answer)
    assert "catalog.source.deleted" in _verbs()


# ---------------------------------------------------------------------------------------------------------------- kinds


def _kind(name: str = "Sensor", **changes: str) -> dict[str, str]:
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object"}}}
    relations = [{"path": "spec.owner", "relation": "ownedBy", "reverse": "ownerOf", "default_kind": "Group"}]
    return {
        "name": name, "plural": "Sensors", "description": "", "icon": "resource", "order": "50", "enabled": "on",
        "default_allowed": "on", "relations": json.dumps(relations), "sorted_lists": "[]",
        "versions-TOTAL_FORMS": "1", "versions-INITIAL_FORMS": "0", "versions-MIN_NUM_FORMS": "1",
        "versions-0-api_version": "acme.example/v1", "versions-0-spec_type": "", "versions-0-enabled": "on",
        "versions-0-schema": json.dumps(schema), **changes,
    }  # fmt: skip


@pytest.mark.req("R002")
def test_a_kind_added_in_the_admin_is_accepted_at_once(world: World, curator: Client) -> None:
    assert current_registry().lookup("Sensor", "acme.example/v1") is None
    assert curator.post("/admin/catalog/kind/add/", _kind()).status_code == 302
    found = current_registry().lookup("Sensor", "acme.example/v1")
    assert found is not None and found.relations[0].relation == "ownedBy"
    assert _verbs() == ["catalog.kind.created"]


def test_a_version_is_added_changed_and_taken_away(world: World, curator: Client) -> None:
    curator.post("/admin/catalog/kind/add/", _kind())
    kind, version = Kind.objects.get(name="Sensor"), KindVersion.objects.get(kind__name="Sensor")
    data = _kind(**{
        "versions-TOTAL_FORMS": "2", "versions-INITIAL_FORMS": "1", "versions-0-id": str(version.pk),
        "versions-0-kind": str(kind.pk), "versions-0-DELETE": "on", "versions-1-api_version": "acme.example/v2",
        "versions-1-spec_type": "", "versions-1-enabled": "on", "versions-1-schema": '{"type": "object"}',
        "versions-1-kind": str(kind.pk), "plural": "All sensors",
    })  # fmt: skip
    assert curator.post(f"/admin/catalog/kind/{kind.pk}/change/", data).status_code == 302
    assert current_registry().lookup("Sensor", "acme.example/v1") is None
    assert current_registry().lookup("Sensor", "acme.example/v2") is not None
    change = AuditEvent.objects.get(verb="catalog.kind.changed")
    assert change.before is not None and change.before["plural"] == "Sensors"
    assert change.after is not None and change.after["plural"] == "All sensors"
    assert change.after["versions"] == ["acme.example/v2"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"versions-0-schema": '{"type": "object",\n "required": ]}'}, "Line 2, column 14"),
        ({"versions-0-schema": '{"type": "no-such-type"}'}, "not a valid JSON Schema"),
        ({"versions-0-schema": '{"$ref": "https://evil.example/schema.json"}'}, "not a valid JSON Schema"),
        ({"versions-0-schema": "[" * 30_000}, "nested too deeply"),
        ({"relations": '[{"path": "spec.owner"}]'}, "lacks or misuses"),
        ({"relations": "{"}, "Line 1, column 2"),
        ({"name": "Component"}, "already exists"),
        ({"name": "two words"}, "letter"),
        ({"versions-TOTAL_FORMS": "0"}, "at least"),
    ],
)
def test_a_kind_that_cannot_be_read_is_refused_with_the_place(
    world: World, curator: Client, change: dict[str, str], what: str
) -> None:
    version = current_registry()
    answer = curator.post("/admin/catalog/kind/add/", _kind(**change))
    assert what in _errors(answer)
    assert (
        not Kind.objects.filter(name="Sensor").exists() and _verbs() == [] and current_registry() is version
    )


# ----------------------------------------------------------------------------------------------------------- vocabulary


def test_a_tag_is_known_everywhere_once_it_is_saved(world: World, curator: Client) -> None:
    data = {"name": "kubernetes", "description": "", "alias_of": ""}
    assert curator.post("/admin/catalog/tagdefinition/add/", data).status_code == 302
    assert "kubernetes" in (current_registry().tags or ())
    tag = TagDefinition.objects.get(name="kubernetes")
    data["description"] = "Runs on Kubernetes."
    curator.post(f"/admin/catalog/tagdefinition/{tag.pk}/change/", data)
    assert (_last().before, _last().after) == ({"description": ""}, {"description": "Runs on Kubernetes."})
    curator.post(f"/admin/catalog/tagdefinition/{tag.pk}/delete/", {"post": "yes"})
    assert "kubernetes" not in (current_registry().tags or ())
    assert [v.rpartition(".")[2] for v in _verbs()] == ["created", "changed", "deleted"]


def test_tags_are_imported_from_a_table_after_a_preview(world: World, curator: Client) -> None:
    table = "name,description,alias_of\nk8s,Short for it,java\njava,The language,\n"
    upload = SimpleUploadedFile("tags.csv", table.encode(), "text/csv")
    answer = curator.post("/admin/catalog/tagdefinition/import/", {"import_file": upload, "format": "0"})
    result = answer.context["result"]
    assert [row.errors for row in result.rows if row.errors] == [] and result.invalid_rows == []
    confirm = answer.context["confirm_form"].initial
    assert not TagDefinition.objects.filter(name="k8s").exists(), "a preview writes nothing"
    answer = curator.post("/admin/catalog/tagdefinition/process_import/", confirm)
    assert answer.status_code == 302
    assert TagDefinition.objects.get(name="k8s").alias_of == world.tag
    assert sorted(_verbs()) == ["catalog.vocabulary.imported"] * 2
    assert "k8s" not in (current_registry().tags or ()) and _last().actor == "user:curator"


def test_an_export_holds_the_rows_of_the_list_and_no_formula(world: World, curator: Client) -> None:
    TagDefinition.objects.create(name="sum", description="=SUM(A1)")
    answer = curator.post(
        "/admin/catalog/tagdefinition/export/",
        {"format": "0", "resource": "", "tagresource_name": "on", "tagresource_description": "on"},
    )
    lines = io.StringIO(answer.content.decode()).read().split()
    assert answer.status_code == 200 and "java,," in lines and "sum,SUM(A1)," in lines


def test_an_annotation_gets_its_meaning_here(world: World, curator: Client) -> None:
    data = {"key": "acme.example/tier", "description": "How bad", "value_type": "text", "reader": "", "example": "1",
            "alias_of": ""}  # fmt: skip
    assert curator.post("/admin/catalog/annotationdefinition/add/", data).status_code == 302
    assert AnnotationDefinition.objects.filter(key="acme.example/tier").exists()
    assert "acme.example/tier" in current_registry().annotations


# ---------------------------------------------------------------------------------- jobs, schedules, connections


def test_a_job_is_cancelled_from_its_page_and_from_the_list(world: World, curator: Client) -> None:
    job, other = JobFactory(), JobFactory()
    curator.post(f"/admin/jobs/job/{job.pk}/cancel/", CONFIRMED)
    data = {"action": "cancel_chosen", "_selected_action": [other.pk, world.job.pk]}
    assert "1 cancelled, 1 were over" in _said(curator.post("/admin/jobs/job/", data, follow=True))
    assert set(Job.objects.filter(pk__in=[job.pk, other.pk]).values_list("state", flat=True)) == {"cancelled"}
    assert "over already" in _said(curator.post(f"/admin/jobs/job/{job.pk}/cancel/", CONFIRMED, follow=True))
    assert _verbs() == ["jobs.job.cancelled"] * 2


def test_a_schedule_is_paused_and_slowed_down_but_does_what_it_does(world: World, curator: Client) -> None:
    data = {"every": "600", "jitter": "5", "name": "other", "kind": "evil"}
    assert curator.post(f"/admin/jobs/schedule/{world.schedule.pk}/change/", data).status_code == 302
    row = Schedule.objects.get(pk=world.schedule.pk)
    assert (row.every, row.jitter, row.enabled, row.kind) == (600, 5, False, "tests.echo")
    assert _verbs() == ["jobs.schedule.changed"]


CONNECTION = {
    "name": "work", "kind": "gitlab", "host": "GitLab.Acme.example", "enabled": "on", "allowed_prefixes": '["acme/"]',
    "purposes": ["read"], "username": "", "credential": "env:GITLAB_TOKEN", "base_url": "", "api_url": "",
    "read_over": "git",
}  # fmt: skip


def test_a_connection_is_tidied_by_its_service(world: World, curator: Client) -> None:
    assert curator.post("/admin/connections/connection/add/", CONNECTION).status_code == 302
    made = Connection.objects.get(name="work")
    assert (made.host, made.allowed_prefixes) == ("gitlab.acme.example", ["/acme"])
    data = {**CONNECTION, "host": made.host, "allowed_prefixes": '["/acme"]', "credential": "file:gitlab"}
    assert curator.post(f"/admin/connections/connection/{made.pk}/change/", data).status_code == 302
    assert _last().after == {"credential": "file:gitlab"}
    assert (
        curator.post(f"/admin/connections/connection/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    )
    assert [verb.rpartition(".")[2] for verb in _verbs()] == ["created", "changed", "deleted"]


def test_a_secret_typed_as_a_reference_is_refused_and_not_repeated(world: World, curator: Client) -> None:
    answer = curator.post(
        "/admin/connections/connection/add/", {**CONNECTION, "credential": "ghp_0123456789abcdef"}
    )
    said = _errors(answer)
    assert "the secret itself must not be stored" in said and "ghp_" not in said
    assert answer.context["adminform"].form.errors["credential"]


def test_a_connection_is_checked_from_its_page(world: World, curator: Client) -> None:
    with serving(lambda _: Reply(401, b"")) as server:
        row = Connection.objects.get(pk=world.connection.pk)
        Connection.objects.filter(pk=row.pk).update(
            host="127.0.0.1", base_url=f"http://127.0.0.1:{server.port}", allow_private=True, credential=""
        )
        url = f"/admin/connections/connection/{row.pk}/check-now/"
        assert "refused the credential" in _said(curator.post(url, CONFIRMED, follow=True))


# -------------------------------------------------------------------------------------------------------------- plugins


def test_a_switch_is_flipped_recorded_and_seen(world: World, curator: Client) -> None:
    page = curator.get("/admin/plugins/").content.decode()
    assert "home_card:kinds" in page and "plugin:catalog" in page
    data = {"key": "home_card:kinds", "enabled": "0"}
    assert "is off" in _said(curator.post("/admin/plugins/", data, follow=True))
    assert not ExtensionState.objects.get(key="home_card:kinds").enabled
    assert (_last().verb, _last().object_id) == ("plugins.switch.off", "home_card:kinds")
    registry.forget_switches()
    assert "home_card:kinds" in registry.switched_off()
    curator.post("/admin/plugins/", {**data, "enabled": "1"})
    registry.forget_switches()
    assert "home_card:kinds" not in registry.switched_off()


def test_a_switch_that_does_not_exist_is_refused(world: World, curator: Client) -> None:
    answer = curator.post("/admin/plugins/", {"key": "home_card:nobody", "enabled": "0"}, follow=True)
    assert "No plugin registered home_card:nobody" in _said(answer)
    assert _verbs() == [] and not ExtensionState.objects.exists()


# ---------------------------------------------------------------------------------------------------------------- guard


@pytest.mark.parametrize(
    "url", ["/admin/jobs/job/{job}/cancel/", "/admin/catalog/source/{source}/sync-now/", "/admin/plugins/"]
)
def test_nothing_happens_without_the_secret_of_the_form(world: World, url: str) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(world.staff)
    answer = careful.post(url.format(job=world.job.pk, source=world.source.pk), CONFIRMED)
    assert answer.status_code == 403 and _verbs() == []


def test_the_history_of_a_row_shows_who_did_what_anywhere(world: World, curator: Client) -> None:
    page = curator.get(f"/admin/catalog/source/{world.source.pk}/history/").content.decode()
    assert "user:curator" in page and "catalog.source.created" in page
