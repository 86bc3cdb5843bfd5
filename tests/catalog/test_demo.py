"""The demo company: what is valid, what is broken on purpose, and what dangles."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from catalog.ingest.documents import Outcome, process_file
from catalog.ingest.hosts import Hosts
from catalog.ingest.process import Processed
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.yaml import load

DEMO = Path(__file__).resolve().parents[2] / "deploy" / "demo"
ROOT = LocationRef("file", str(DEMO / "catalog-info.yaml"))


@dataclass
class Reading:
    """Everything below the root Location, first come first."""

    entities: dict[str, Processed] = field(default_factory=dict)
    file_of: dict[str, str] = field(default_factory=dict)
    duplicates: list[tuple[str, str, str]] = field(default_factory=list)
    rejected: list[tuple[str, Outcome]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    files: set[str] = field(default_factory=set)


def name_of(target: str) -> str:
    return Path(target).relative_to(DEMO).as_posix()


def documents(target: str) -> Iterator[Outcome]:
    def read(place: LocationRef) -> bytes:
        return Path(place.target).read_bytes()

    yield from process_file(
        Path(target).read_bytes(),
        location=LocationRef("file", target),
        origin=ROOT,
        registry=KindRegistry.shipped(),
        hosts=Hosts(),
        read_placeholder=read,
    )


@cache
def demo() -> Reading:
    reading = Reading()
    queue = [ROOT.target]
    while queue:
        target = queue.pop(0)
        reading.files.add(name_of(target))
        for outcome in documents(target):
            reading.warnings.update(p.rule for p in outcome.problems if p.severity == "warning")
            entity = outcome.processed
            if entity is None:
                reading.rejected.append((name_of(target), outcome))
                continue
            if entity.ref in reading.entities:
                reading.duplicates.append((entity.ref, reading.file_of[entity.ref], name_of(target)))
                continue
            reading.entities[entity.ref] = entity
            reading.file_of[entity.ref] = name_of(target)
            reading.files.update(name_of(place.target) for place in entity.placeholders)
            for place in entity.targets:
                if Path(place.target).is_file():
                    queue.append(place.target)
                else:
                    reading.missing.append((entity.ref, name_of(place.target)))
    return reading


def dangling() -> set[tuple[str, str, str]]:
    """(declarer, relation, target) of which the target is not there."""
    entities = demo().entities
    return {
        (ref, relation.type, relation.target)
        for ref, entity in entities.items()
        for relation in entity.relations
        if relation.source == ref and relation.target not in entities
    }


def test_the_demo_has_entities_of_every_shipped_kind() -> None:
    counts = Counter(entity.kind for entity in demo().entities.values())
    assert counts == {
        "Component": 140,
        "Resource": 72,
        "User": 50,
        "API": 34,
        "System": 21,
        "Group": 19,
        "Location": 16,
        "Domain": 9,
        "Template": 7,
        "AiResource": 7,
    }
    assert set(counts) == set(KindRegistry.shipped().kinds)


def test_exactly_the_documents_that_are_broken_on_purpose_are_rejected() -> None:
    found = {
        file: [(p.rule, p.line, p.corrected_line) for p in outcome.problems]
        for file, outcome in demo().rejected
    }
    assert found == {
        "passenger-web/loyalty/campaigns.yaml": [("catalog.format.tag", 7, "  tags: [marketing, node-js]")],
        "payments/tips.yaml": [("catalog.schema.required", 8, "  owner: team-a")],
        "fleet/wave-radar.yaml": [("catalog.kind.unknown", 3, "")],
        "port-ops/announcements.yaml": [
            (
                "catalog.yaml.syntax",
                6,
                '  description: "Screens on the quay: departures, gates and the weather"',
            )
        ],
    }


def test_one_reference_is_declared_in_two_files() -> None:
    assert demo().duplicates == [
        ("component:default/waitlist-service", "bookings/services.yaml", "bookings/waitlist-old.yaml")
    ]


def test_two_targets_are_missing_and_one_of_them_may_be() -> None:
    assert demo().missing == [
        ("location:default/berth-sensors", "port-ops/generated/berth-sensors.yaml"),
        ("location:default/harbour-core-handover", "harbour-core/handover/services.yaml"),
    ]
    assert [demo().entities[ref].presence for ref, _ in demo().missing] == ["optional", "required"]


def test_the_readme_names_every_broken_file_and_no_other() -> None:
    _, _, broken = (DEMO / "README.md").read_text("utf-8").partition("## Broken on purpose")
    named = set(re.findall(r"^\| `(\S+)`", broken, re.MULTILINE))
    missing = {
        demo().file_of[ref] for ref, _ in demo().missing if demo().entities[ref].presence == "required"
    }
    duplicates = {later for _, _, later in demo().duplicates}
    assert named == {file for file, _ in demo().rejected} | missing | duplicates
    assert all((DEMO / file).is_file() for file in named)


def test_these_references_dangle_and_no_others() -> None:
    closed = "group:default/harbour-core"
    assert dangling() == {
        ("component:default/sailing-schedule", "ownedBy", closed),
        ("component:default/harbour-bridge", "ownedBy", closed),
        ("component:default/guest-berth-invoices", "ownedBy", closed),
        ("component:default/gate-controller-v1", "ownedBy", closed),
        ("api:default/sailings", "ownedBy", closed),
        ("resource:default/timetable-db", "ownedBy", closed),
        ("user:default/stellan.ek", "memberOf", closed),
        ("component:default/newsletter-signup", "ownedBy", "group:default/growth"),
        ("component:default/quay-announcements", "ownedBy", "user:default/petra.niemi"),
        # A forgotten namespace: the declarer's counts, not "default".
        ("component:payments/fraud-screen", "ownedBy", "group:payments/payments"),
        ("component:data/passenger-counts", "ownedBy", "group:data/data-platform"),
        ("component:data/passenger-counts", "dependsOn", "resource:data/old-hdfs"),
        ("component:default/harbour-bridge", "dependsOn", "resource:default/old-esb"),
        ("component:default/harbour-bridge", "consumesApi", "api:default/harbour-messages"),
        ("component:default/berth-planner", "dependsOn", "resource:default/berth-cache"),
        ("component:default/deck-allocator", "dependsOn", "component:default/lane-weights"),
        ("component:default/weighbridge-reader", "dependsOn", "component:default/gangway-sensor-hub"),
        ("component:payments/payouts-batch", "dependsOn", "resource:payments/payments-sftp"),
        ("airesource:default/kotlin-service-style", "dependsOn", "airesource:default/skerry-words"),
    }


def test_only_the_annotations_of_the_company_itself_are_unknown() -> None:
    assert demo().warnings == {"catalog.annotation.unknown": 9}
    known = KindRegistry.shipped().annotations
    written = {key for entity in demo().entities.values() for key in entity.entity["metadata"]["annotations"]}
    assert {key.partition("/")[0] for key in written - set(known)} == {"skerry.example"}


def test_unusual_values_come_through_as_written() -> None:
    entities = demo().entities
    assert entities["component:sandbox/seal-counter"].entity["spec"]["lifecycle"] == "on"
    assert entities["component:sandbox/ask-the-timetable"].entity["spec"]["firstDemo"] == "2026-09-30"
    assert entities["component:sandbox/ask-the-timetable"].entity["spec"]["bedtime"] == "22:30"
    assert entities["component:default/skerrykiosk_os.v2"].name == "SkerryKiosk_OS.v2"
    assert max(len(entity.name) for entity in entities.values()) == 63
    assert entities["component:default/waitlist-v2"].entity["metadata"]["description"] == ""
    assert entities["resource:default/k8s-edge"].entity["metadata"]["labels"]["skerry.example/region"] == ""
    assert {entity.namespace for entity in entities.values()} == {"default", "payments", "data", "sandbox"}


def test_placeholders_of_all_three_sorts_are_filled_in() -> None:
    entities = demo().entities
    assert entities["api:default/bookings"].entity["spec"]["definition"].startswith("openapi: 3.0.3\n")
    gateway = entities["component:payments/payments-gateway"].entity
    assert gateway["metadata"]["labels"]["skerry.example/cost-centre"] == "5300"
    assert gateway["spec"]["slo"]["availability"] == {"target": 99.95, "window": "30d"}
    assert [remote["type"] for remote in entities["api:default/sailing-tools"].entity["spec"]["remotes"]] == [
        "streamable-http",
        "sse",
    ]


def test_at_least_twelve_definitions_are_files_of_a_real_size() -> None:
    files = [
        Path(place.target)
        for entity in demo().entities.values()
        if entity.kind == "API"
        for place in entity.placeholders
        if "definition" in entity.entity["spec"]
    ]
    lengths = {name_of(str(file)): len(file.read_text("utf-8").splitlines()) for file in files}
    assert len(lengths) >= 12
    assert {name: lines for name, lines in lengths.items() if not 40 <= lines <= 200} == {}


def test_definitions_resolve_their_own_references() -> None:
    checked = 0
    for ref, entity in demo().entities.items():
        if entity.entity["spec"].get("type") not in ("openapi", "asyncapi"):
            continue
        document = load(entity.entity["spec"]["definition"])
        for pointer in re.findall(r"'#/([^']+)'", str(document)):
            value = document
            for part in pointer.split("/"):
                assert part in value, (ref, pointer)
                value = value[part]
            checked += 1
        for path, item in document.get("paths", {}).items():
            operations = [
                item[method] for method in ("get", "put", "post", "patch", "delete") if method in item
            ]
            assert operations, (ref, path)
            assert all(operation["operationId"] and operation["responses"] for operation in operations), (
                ref,
                path,
            )
    assert checked > 50


def test_every_file_of_the_demo_is_reached_from_its_root() -> None:
    there = {path.relative_to(DEMO).as_posix() for path in DEMO.rglob("*") if path.is_file()}
    content = {path for path in there if "/skeleton/" in path}  # what templates fetch
    assert there - content - demo().files == {"README.md", "people.json"}


def test_no_address_leads_to_a_real_host() -> None:
    names_only = {"schemas.xmlsoap.org", "www.w3.org"}  # of XML namespaces, never fetched
    hosts = {
        host.lower()
        for path in DEMO.rglob("*")
        if path.is_file()
        for host in re.findall(r"(?:https?://|@)([\w.-]+\.[a-z]{2,})", path.read_text("utf-8"))
    }
    assert {host for host in hosts if not host.endswith(".example")} == names_only


def test_people_who_sign_in_are_in_the_org_files() -> None:
    people = json.loads((DEMO / "people.json").read_text("utf-8"))
    assert [person["role"] for person in people] == ["admin", "team lead", "developer", "newcomer"]
    assert [person["is_superuser"] for person in people] == [True, False, False, False]
    for person in people:
        profile = demo().entities[person["user_entity"]].entity["spec"]["profile"]
        assert (profile["displayName"], profile["email"]) == (person["full_name"], person["email"])
        assert not {"password", "secret", "token"} & set(person)


def test_everybody_has_a_profile_and_nearly_everybody_a_team() -> None:
    users = [entity.entity for entity in demo().entities.values() if entity.kind == "User"]
    assert all(user["spec"]["profile"]["email"].endswith("@skerry.example") for user in users)
    assert [user["metadata"]["name"] for user in users if not user["spec"]["memberOf"]] == ["priit.tamm"]
