"""A kind that an admin adds or switches off counts in every process at once: two web processes and a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.models import Problem, Source
from catalog.services.kinds import save_kind
from catalog.services.sources import create_source, request_sync
from portal.jobs.models import Job
from tests.catalog.processes import running
from tests.factories.access import StaffFactory, TokenFactory
from tests.factories.sources import SYSTEM, entity, exists
from tests.jobs.worker import until

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "cb_" + "w" * 40
VERSION = {
    "api_version": "acme.example/v1",
    "spec_type": "",
    "schema": {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "required": ["owner"], "properties": {"beds": {"type": "integer"}}}
        },
        "required": ["spec"],
    },
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
    TokenFactory(text=TOKEN, user=StaffFactory())
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

        values = {"name": "Ward", "plural": "Wards", "relations": RELATIONS}
        kind = save_kind(actor=SYSTEM, values=values, versions=[VERSION])
        assert _verdicts(clients) == [(200, "")] * 2
        assert _verdicts(clients, beds="twelve") == [(400, "catalog.schema.type")] * 2
        _read(source, log)
        assert _rules(source) == []
        assert entity("ward:default/north").owner_ref == "group:default/nursing"

        save_kind(actor=SYSTEM, kind=kind, values={"enabled": False}, versions=[VERSION])
        assert _verdicts(clients) == [(400, "catalog.kind.unknown")] * 2
        _read(source, log)
        assert _rules(source) == ["catalog.kind.unknown"]
        assert exists("ward:default/north"), "what was good stays, and says that it is refused now"
        assert entity("ward:default/north").has_errors
