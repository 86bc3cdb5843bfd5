"""Sources, kinds and the vocabulary are written through their services; what these refuse comes back in the form."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalog.models import AnnotationDefinition, Kind, KindVersion, Source, TagDefinition
from catalog.services.kinds import current_registry
from portal.audit.models import AuditEvent
from portal.jobs.models import Job, Schedule
from tests.admin.looking import CONFIRMED, errors_of, last, said_in, verbs
from tests.factories.world import World

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
    assert "catalog.source.created" in verbs()


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
    assert what in errors_of(answer)
    assert Source.objects.count() == 1 and verbs() == []
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
        b"Refresh" in curator.get(url).content and not Job.objects.filter(kind="catalog.sync_source").exists()
    )
    assert "will be read" in said_in(curator.post(url, CONFIRMED, follow=True))
    data = {"action": "sync_chosen", "_selected_action": [world.source.pk]}
    assert "1 will be read" in said_in(curator.post("/admin/catalog/source/", data, follow=True))
    assert Job.objects.filter(kind="catalog.sync_source").count() == 1


def test_a_deleted_source_takes_what_it_declared_along(world: World, curator: Client) -> None:
    page = curator.get(f"/admin/catalog/source/{world.source.pk}/delete/")
    assert page.status_code == 200 and b"team-a" in page.content
    answer = curator.post(f"/admin/catalog/source/{world.source.pk}/delete/", {"post": "yes"}, follow=True)
    assert not Source.objects.exists() and "2 entities went with it" in said_in(answer)
    assert "catalog.source.deleted" in verbs()


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
    assert verbs() == ["catalog.kind.created"]


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
    assert what in errors_of(answer)
    assert not Kind.objects.filter(name="Sensor").exists() and verbs() == [] and current_registry() is version


# ----------------------------------------------------------------------------------------------------------- vocabulary


def test_a_tag_is_known_everywhere_once_it_is_saved(world: World, curator: Client) -> None:
    data = {"name": "kubernetes", "description": "", "alias_of": ""}
    assert curator.post("/admin/catalog/tagdefinition/add/", data).status_code == 302
    assert "kubernetes" in (current_registry().tags or ())
    tag = TagDefinition.objects.get(name="kubernetes")
    data["description"] = "Runs on Kubernetes."
    curator.post(f"/admin/catalog/tagdefinition/{tag.pk}/change/", data)
    assert (last().before, last().after) == ({"description": ""}, {"description": "Runs on Kubernetes."})
    curator.post(f"/admin/catalog/tagdefinition/{tag.pk}/delete/", {"post": "yes"})
    assert "kubernetes" not in (current_registry().tags or ())
    assert [v.rpartition(".")[2] for v in verbs()] == ["created", "changed", "deleted"]


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
    assert sorted(verbs()) == ["catalog.vocabulary.imported"] * 2
    assert "k8s" not in (current_registry().tags or ()) and last().actor == "user:curator"


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
