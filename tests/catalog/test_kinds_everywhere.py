"""A kind that an admin adds or switches off counts in every process at once: two web processes and a worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.models import Kind, KindVersion, Problem, Source
from catalog.services.sources import create_source, request_sync
from portal.jobs.models import Job
from tests.catalog.processes import running
from tests.factories.access import StaffFactory, TokenFactory
from tests.factories.sources import SYSTEM, entity, exists
from tests.jobs.worker import until

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "cb_" + "w" * 40
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "required": ["owner"], "properties": {"beds": {"type": "integer"}}}
    },
    "required": ["spec"],
}
RELATIONS = [{"path": "spec.owner", "relation": "ownedBy", "reverse": "ownerOf", "default_kind": "Group"}]
WARD = {
    "apiVersion": "acme.example/v1",
    "kind": "Ward",
    "metadata": {"name": "north"},
    "spec": {"owner": "nursing", "beds": 12},
}
FILE = "apiVersion: acme.example/v1\nkind: Ward\nmetadata: {name: north}\nspec: {owner: nursing, beds: 12}\n"


def _verdicts(clients: list[httpx.Client], **spec: Any) -> list[tuple[int, str]]:
    """Status and rule that each web process answers to the question whether a ward is valid."""
    body = {
        "entity": {**WARD, "spec": {**WARD["spec"], **spec}},
        "location": "url:http://127.0.0.1/wards.yaml",
    }
    answers = [client.post("/api/catalog/validate-entity", json=body) for client in clients]
    return [(a.status_code, a.json()["errors"][0]["code"] if a.content else "") for a in answers]


def _sign_in(client: httpx.Client, password: str) -> None:
    """As a person does, in the browser."""
    client.get("/accounts/login/")
    form = {"login": "ines", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    assert client.post("/accounts/login/", data=form).status_code == 302


def _save_in_admin(client: httpx.Client, address: str, *, enabled: bool) -> None:
    """Fill in the form for a kind with one version."""
    values = {
        "name": "Ward", "plural": "Wards", "icon": "catalog", "order": "100", "default_allowed": "on",
        "relations": json.dumps(RELATIONS), "sorted_lists": "[]", "versions-TOTAL_FORMS": "1",
        "versions-INITIAL_FORMS": "0", "versions-MIN_NUM_FORMS": "1", "versions-MAX_NUM_FORMS": "1000",
        "versions-0-api_version": "acme.example/v1", "versions-0-schema": json.dumps(SCHEMA),
        "versions-0-enabled": "on", "_save": "Save",
    }  # fmt: skip
    if enabled:
        values["enabled"] = "on"
    kind = Kind.objects.unrestricted("test").filter(name="Ward").first()
    if kind is not None:
        version = KindVersion.objects.unrestricted("test").get(kind=kind)
        values |= {
            "versions-INITIAL_FORMS": "1",
            "versions-0-id": str(version.pk),
            "versions-0-kind": str(kind.pk),
        }
        address = address.format(kind.pk)
    client.get(address)
    values["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
    answer = client.post(address, data=values)
    assert answer.status_code == 302, answer.text


def _rules(source: Source) -> list[str]:
    return [p.rule for p in Problem.objects.unrestricted("test").filter(source=source)]


def _read(source: Source, log: Path) -> Job:
    """The job of reading the source, done by the worker."""
    job = request_sync(actor=SYSTEM, source=source)
    jobs = Job.objects.unrestricted("test").filter(pk=job.pk)
    until(lambda: jobs.get().is_over, log)
    done = jobs.get()
    assert done.state == Job.State.SUCCEEDED, done.error
    return done


@pytest.mark.req("R002")
def test_a_new_kind_is_accepted_at_once_in_every_process_and_refused_when_it_is_switched_off(
    tmp_path: Path,
) -> None:
    folder, log = tmp_path / "wards", tmp_path / "log"
    folder.mkdir()
    (folder / "catalog-info.yaml").write_text(FILE)
    ines = StaffFactory(username="ines", is_superuser=True)
    ines.set_password("a long password")
    ines.save()
    TokenFactory(text=TOKEN, user=ines)
    source = create_source(
        actor=SYSTEM, name="wards", target=str(folder), type=Source.Type.FILE, sync=False,
        registered_by=Source.RegisteredBy.COMMAND,
    )  # fmt: skip
    with running(folder, log) as clients:
        for client in clients:
            client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert _verdicts(clients) == [(400, "catalog.kind.unknown")] * 2
        _read(source, log)
        assert _rules(source) == ["catalog.kind.unknown"]

        with httpx.Client(base_url=clients[0].base_url, timeout=20) as admin:
            _sign_in(admin, "a long password")
            _save_in_admin(admin, "/admin/catalog/kind/add/", enabled=True)
        assert _verdicts(clients) == [(200, "")] * 2
        assert _verdicts(clients, beds="twelve") == [(400, "catalog.schema.type")] * 2
        _read(source, log)
        assert _rules(source) == []
        assert entity("ward:default/north").owner_ref == "group:default/nursing"

        with httpx.Client(base_url=clients[1].base_url, timeout=20) as admin:
            _sign_in(admin, "a long password")
            _save_in_admin(admin, "/admin/catalog/kind/{}/change/", enabled=False)
        assert _verdicts(clients) == [(400, "catalog.kind.unknown")] * 2
        _read(source, log)
        assert _rules(source) == ["catalog.kind.unknown"]
        assert exists("ward:default/north"), "what was good stays, and says that it is refused now"
        assert entity("ward:default/north").has_errors
