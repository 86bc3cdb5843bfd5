"""The entities that a stock backend stored from the conformance seed, and what it found in them."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from catalog.ingest.attributes import flatten
from catalog.ingest.documents import process_file
from catalog.ingest.final import final_document
from catalog.ingest.hosts import Hosts
from catalog.ingest.process import Processed
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import NotFoundError

pytestmark = pytest.mark.shared

BASE = "https://seed.example"
ORIGIN = LocationRef("url", f"{BASE}/catalog-info.yaml")


def answers(shared_dir: Path, group: str) -> list[dict[str, Any]]:
    lines = (shared_dir / "conformance" / "catalog" / "cases.jsonl").read_text("utf-8").splitlines()
    # The server of the recording had two addresses of files; here both are one.
    cases = [
        json.loads(line.replace("${SEED}", BASE).replace("http://127.0.0.1:7390", BASE)) for line in lines
    ]
    return [case for case in cases if case["group"] == group]


@cache
def seed(shared_dir: Path) -> dict[str, Processed]:
    """Every accepted entity of the seed, by reference and file."""
    root = shared_dir / "conformance" / "catalog" / "seed"

    def read(place: LocationRef) -> bytes:
        file = root / place.target.removeprefix(f"{BASE}/")
        if not file.is_file():
            raise NotFoundError(f"{place.target} is not there")
        return file.read_bytes()

    found: dict[str, Processed] = {}
    for path in sorted(root.rglob("*.yaml")):
        location = LocationRef("url", f"{BASE}/{path.relative_to(root)}")
        outcomes = process_file(
            path.read_bytes().replace(b"http://127.0.0.1:7390", BASE.encode()),
            location=location,
            origin=ORIGIN,
            registry=KindRegistry.shipped(),
            hosts=Hosts(),
            read_placeholder=read,
        )
        found.update((f"{o.ref} {location.target}", o.processed) for o in outcomes if o.processed)
    return found


def test_stored_entities_are_those_that_stock_stored(shared_dir: Path) -> None:
    compared = 0
    for case in answers(shared_dir, "by-name"):
        body = case["response"].get("body") or {}
        if case["response"]["status"] != 200 or "metadata" not in body:
            continue
        annotations = body["metadata"]["annotations"]
        if body["metadata"]["name"].startswith("generated-"):
            continue
        ref = f"{body['kind']}:{body['metadata']['namespace']}/{body['metadata']['name']}".lower()
        file = annotations["backstage.io/managed-by-location"].removeprefix("url:")
        processed = seed(shared_dir)[f"{ref} {file}"]
        relations = [(relation["type"], relation["targetRef"]) for relation in body["relations"]]
        text, etag = final_document(
            processed.entity, uid=body["metadata"]["uid"], relations=reversed(relations)
        )
        finished = json.loads(text)
        assert finished["metadata"].pop("etag") == etag
        written = body["metadata"].pop("etag")
        assert written == "<etag>" or etag == written
        assert finished == body, case["why"]
        own = {(type_, target) for source, type_, target in processed.relations if source == ref}
        assert own <= set(relations)
        compared += 1
    assert compared >= 60


def test_relations_of_the_whole_seed_meet_in_the_stored_entities(shared_dir: Path) -> None:
    by_source: dict[str, set[tuple[str, str]]] = {}
    for processed in seed(shared_dir).values():
        for source, type_, target in processed.relations:
            by_source.setdefault(source, set()).add((type_, target))
    compared = 0
    for case in answers(shared_dir, "by-name"):
        body = case["response"].get("body") or {}
        for relation in body.get("relations", []):
            ref = f"{body['kind']}:{body['metadata']['namespace']}/{body['metadata']['name']}".lower()
            assert (relation["type"], relation["targetRef"]) in by_source[ref]
            compared += 1
    assert compared >= 200


def test_facets_of_the_seed_follow_from_the_attributes(shared_dir: Path) -> None:
    """Facets count entities by original value; the whole list of entities is among the recorded answers."""
    entities = next(
        case["response"]["body"]
        for case in answers(shared_dir, "entities")
        if case["request"].get("query") in (None, []) and isinstance(case["response"]["body"], list)
    )
    assert len(entities) > 100
    attributes = []
    for entity in entities:
        relations = [(relation["type"], relation["targetRef"]) for relation in entity["relations"]]
        attributes.append(flatten(entity, relations, uid=entity["metadata"]["uid"]))
    compared = 0
    for case in answers(shared_dir, "facets"):
        query = case["request"].get("query") or []
        if (
            case["response"]["status"] != 200
            or case["request"]["method"] != "GET"
            or any(k != "facet" for k, _ in query)
        ):
            continue
        for facet, values in case["response"]["body"]["facets"].items():
            if facet.lower() in ("metadata.uid", "metadata.etag"):
                continue
            counts = Counter(
                o
                for rows in attributes
                for o in {o for k, _, o in rows if k == facet.lower()}
                if o is not None
            )
            assert counts == {value["value"]: value["count"] for value in values}, facet
            compared += 1
    assert compared >= 15
