"""All catalog files of the corpus in one running instance: each folder a source, then browsed.

The files are read from disk, where the recorded verdicts are those of files on GitHub. So documents that stock accepts
are missing here in two cases, and only these: a Location counts as failed when one of its targets leads to the
network, to a file that the corpus does not have, or to an address that means something on a Git host only; and a
placeholder that leads to the network cannot be read.
"""

from __future__ import annotations

import json
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse

from catalog.models import Contender, Entity, Kind, Problem, Source, SourceFile
from catalog.services.kinds import install_shipped_kinds
from catalog.services.sources import create_source, request_sync
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.access import UserFactory
from tests.factories.sources import SYSTEM

pytestmark = [pytest.mark.shared, pytest.mark.django_db]

REASON = "test"
# What keeps an accepted document out when its file lies on disk, and nothing else may.
FROM_DISK = {
    "catalog.read.not-found",  # a target that the corpus does not have
    "catalog.read.unresolved",  # a target on the network
    "catalog.location.target",  # a target that means something on a Git host only
    "catalog.placeholder.unreadable",  # a placeholder that leads to the network
}
# Rules by which stock refuses documents -> by which one of ours it is a problem here.
REFUSED = {
    "field format: metadata.name": {"catalog.format.name"},
    "kind schema": {"catalog.schema.type"},
    "kind: unknown kind or apiVersion": {"catalog.kind.unknown", "catalog.kind.unknown-version"},
    "location: type not allowed": {"catalog.location.type"},
    "placeholder: other repository": {"catalog.placeholder.unreadable"},
    "yaml: DUPLICATE_KEY": {"catalog.yaml.duplicate-key"},
    "yaml": {"catalog.yaml.syntax"},
}


@dataclass
class Instance:
    """What the catalog holds of the corpus; keys are (file, number of the document)."""

    folder: Path
    expected: list[dict[str, Any]]
    jobs: list[Job]
    entities: dict[tuple[str, int], Entity] = field(default_factory=dict)
    contenders: set[tuple[str, str, int]] = field(default_factory=set)
    problems: dict[tuple[str, int | None], list[Problem]] = field(default_factory=lambda: defaultdict(list))
    problems_of: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict(list))

    def load(self) -> None:
        for entity in Entity.objects.unrestricted(REASON):
            self.entities[entity.url, entity.document_index] = entity
        for contender in Contender.objects.unrestricted(REASON):
            self.contenders.add((contender.entity_ref, contender.url, contender.document))
        for problem in Problem.objects.unrestricted(REASON).select_related("source"):
            self.problems[problem.url, problem.document].append(problem)
            self.problems_of[problem.entity_ref].append(problem)

    def path(self, row: dict[str, Any]) -> str:
        return str(self.folder / row["file"])

    def rules(self, row: dict[str, Any]) -> set[str]:
        """Rules of the errors at a document, or of what it leads to."""
        at = self.problems[self.path(row), row["doc"]] + self.problems_of[row.get("ref", "")]
        return {p.rule for p in at if p.severity == Problem.Severity.ERROR}


def _no_network(*args: Any, **named: Any) -> None:
    raise socket.gaierror("there is no network in this test")


@pytest.fixture(scope="module")
def instance(django_db_setup: None, django_db_blocker: Any, shared_dir: Path) -> Iterator[Instance]:
    """Every repository folder of the corpus as a source, read by its job. Made once for all tests here."""
    folder = shared_dir / "corpus"
    with (
        django_db_blocker.unblock(),
        override_settings(CALLBOARD_FILE_ROOTS=[folder / "catalog"]),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(socket, "getaddrinfo", _no_network)
        install_shipped_kinds()
        kinds = list(Kind.objects.unrestricted(REASON).values_list("name", flat=True))
        jobs = [_read(repository, kinds) for repository in sorted((folder / "catalog").iterdir())]
        lines = (folder / "EXPECTED.jsonl").read_text("utf-8").splitlines()
        made = Instance(folder, [json.loads(line) for line in lines], jobs)
        made.load()
        yield made
        call_command("flush", interactive=False, verbosity=0)


def _read(repository: Path, kinds: list[str]) -> Job:
    source = create_source(
        actor=SYSTEM,
        name=repository.name,
        type=Source.Type.FILE,
        target=str(repository),
        pattern="**/*.y*ml",
        registered_by=Source.RegisteredBy.COMMAND,
        allowed_kinds=kinds,
        sync=False,
    )
    job = request_sync(actor=SYSTEM, source=source)
    run_job(job.pk)
    return Job.objects.unrestricted(REASON).get(pk=job.pk)


@pytest.fixture(scope="module")
def browser(instance: Instance) -> Client:
    """Somebody who is signed in and nothing more."""
    client = Client()
    client.force_login(UserFactory(username="reader"))
    return client


def test_every_source_is_read_and_every_file_with_it(instance: Instance) -> None:
    assert {job.state for job in instance.jobs} == {Job.State.SUCCEEDED}
    read = set(SourceFile.objects.unrestricted(REASON).values_list("url", flat=True))
    files = {instance.path(row) for row in instance.expected}
    assert len(files) == 472
    assert files <= read


def test_every_accepted_document_is_an_entity_or_a_contender_or_says_why_not(instance: Instance) -> None:
    came_to: Counter[str] = Counter()
    for row in instance.expected:
        if row["verdict"] != "accept":
            continue
        entity = instance.entities.get((instance.path(row), row["doc"]))
        if entity is not None:
            assert entity.ref == row["ref"]
            came_to["entity"] += 1
        elif (row["ref"], instance.path(row), row["doc"]) in instance.contenders:
            came_to["contender"] += 1
        else:
            assert instance.rules(row) & FROM_DISK, f"{row['file']} document {row['doc']} is lost"
            came_to["failed"] += 1
    assert came_to == {"entity": 400, "contender": 99, "failed": 15}


def test_a_second_declaration_is_a_problem_that_names_the_first(instance: Instance) -> None:
    conflicts = [p for found in instance.problems.values() for p in found if p.rule == "catalog.conflict"]
    placed = {(p.entity_ref, p.url, p.document) for p in conflicts}
    other_files = {
        (c.entity_ref, c.url, c.document)
        for c in Contender.objects.unrestricted(REASON).filter(same_file=False)
    }
    assert other_files <= placed
    for problem in conflicts:
        assert "keeps it" in problem.message or "last document counts" in problem.message


def test_every_refused_document_is_a_problem_with_file_line_and_remedy(instance: Instance) -> None:
    refused = [row for row in instance.expected if row["verdict"] == "reject"]
    assert len(refused) == 63
    for row in refused:
        wanted = next(rules for reason, rules in REFUSED.items() if row["reason"].startswith(reason))
        found = [p for p in instance.problems[instance.path(row), row["doc"]] if p.rule in wanted]
        assert found, f"{row['file']} document {row['doc']}: {row['reason']} is not told"
        assert (instance.path(row), row["doc"]) not in instance.entities
        for problem in found:
            assert problem.line is not None and problem.line > 0
            assert problem.severity == Problem.Severity.ERROR
            assert problem.message


def test_the_spec_of_each_entity_is_the_one_that_stock_shows(instance: Instance) -> None:
    compared = 0
    rows = {(instance.path(row), row["doc"]): row for row in instance.expected}
    documents = dict(Entity.objects.unrestricted(REASON).values_list("pk", "document__text"))
    for place, entity in instance.entities.items():
        row = rows.get(place)
        if row is None or "entity" not in row or "spec" not in row["entity"] or row.get("placeholders"):
            continue
        assert orjson.loads(documents[entity.pk])["spec"] == row["entity"]["spec"], row["file"]
        compared += 1
    assert compared > 380


def test_the_index_counts_everything(instance: Instance, browser: Client) -> None:
    answer = browser.get(reverse("catalog:index"))
    assert answer.status_code == 200
    total = Entity.objects.unrestricted(REASON).count()
    assert f"{total:,}" in answer.content.decode()
    for kind in ("component", "api", "template", "group", "location"):
        answer = browser.get(reverse("catalog:index"), {"kind": kind})
        count = Entity.objects.unrestricted(REASON).filter(kind=kind).count()
        assert answer.status_code == 200
        assert f"{count:,}" in answer.content.decode()


def test_pages_of_entities_open_in_every_tab(instance: Instance, browser: Client) -> None:
    by_kind: dict[str, list[Entity]] = defaultdict(list)
    for entity in instance.entities.values():
        by_kind[entity.kind].append(entity)
    sample = [e for entities in by_kind.values() for e in entities[:: max(1, len(entities) // 6)]]
    assert len(sample) >= 50
    for entity in sample:
        place = {"namespace": entity.namespace, "kind": entity.kind, "name": entity.name}
        address = reverse("catalog:entity", kwargs=place)
        raw = reverse("catalog:entity-tab", kwargs={**place, "tab": "raw"})
        for url in (address, raw):
            answer = browser.get(url)
            assert answer.status_code == 200, url
            assert entity.name in answer.content.decode().lower()


def test_problems_are_listed_with_their_number(instance: Instance, browser: Client) -> None:
    answer = browser.get(reverse("catalog:problems"))
    assert answer.status_code == 200
    assert f"of {Problem.objects.unrestricted(REASON).count():,}" in answer.content.decode()


def test_by_query_gives_each_entity_once_over_all_pages(instance: Instance, browser: Client) -> None:
    found: list[str] = []
    asked: dict[str, Any] = {"orderField": "metadata.name,asc", "limit": 50}
    while True:
        answer = browser.get("/api/catalog/entities/by-query", asked)
        assert answer.status_code == 200
        page = answer.json()
        assert page["totalItems"] == Entity.objects.unrestricted(REASON).count()
        found += [e["metadata"]["uid"] for e in page["items"]]
        if "nextCursor" not in page["pageInfo"]:
            break
        asked = {"cursor": page["pageInfo"]["nextCursor"], "limit": 50}
    assert len(found) == len(set(found)) == page["totalItems"]


def test_facets_add_up_to_the_lists(instance: Instance, browser: Client) -> None:
    answer = browser.get("/api/catalog/entity-facets", {"facet": ["kind", "spec.type"]}).json()["facets"]
    assert sum(f["count"] for f in answer["kind"]) == Entity.objects.unrestricted(REASON).count()
    for facet in answer["spec.type"][:10]:
        asked = {"filter": f"spec.type={facet['value']}", "limit": 0}
        total = browser.get("/api/catalog/entities/by-query", asked).json()["totalItems"]
        same = sum(f["count"] for f in answer["spec.type"] if f["value"].lower() == facet["value"].lower())
        assert total == same
