"""The recorded reads of a stock Backstage, answered from its own documents without reading any source.

``make conformance`` does the same from end to end; here a difference shows in seconds and on both databases.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client

from catalog.models import Contender, Entity, Source
from tests.factories.access import TokenFactory, UserFactory
from tests.factories.catalog import ref_of, store

pytestmark = [pytest.mark.shared, pytest.mark.django_db]

SEED, GIT = "http://127.0.0.1:7390", "http://127.0.0.1:7391"
ROOT = f"{SEED}/catalog-info.yaml"
TOKEN = "cb_recorded"
#: What stock does by accident and we do better; ``make conformance`` lists the same as lenient misses.
BETTER = {
    "fields-022": "a path does not go into a text",
    "cursor-025": "an order without a direction works on page two as well",
    "full-text-024": "% stands for itself",
    "full-text-025": "_ stands for itself",
    "predicates-073": "a negative limit is refused, not a failure",
    "locations-005": "an id that is no UUID is unknown, not a failure",
}


@pytest.fixture(scope="session")
def replay(shared_dir: Path) -> ModuleType:
    """The kit's own tool, for its normalisation and comparison."""
    spec = importlib.util.spec_from_file_location("replay", shared_dir / "conformance" / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cases(shared_dir: Path) -> list[dict[str, Any]]:
    lines = (shared_dir / "conformance" / "catalog" / "cases.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def filled(value: Any) -> Any:
    """Recorded values with the addresses and generated names of this machine."""
    if isinstance(value, str):
        named = re.sub(
            r"\{sha1 of ((?:\$\{\w+\}|[^}])*)\}",
            lambda m: hashlib.sha1(m[1].replace("${SEED}", SEED).encode()).hexdigest(),
            value,
        )
        return named.replace("${SEED}", SEED).replace("${GIT}", GIT)
    if isinstance(value, list):
        return [filled(item) for item in value]
    if isinstance(value, dict):
        return {filled(key): filled(item) for key, item in value.items()}
    return value


@pytest.fixture
def seed(cases: list[dict[str, Any]]) -> None:
    """The catalog that the answers were recorded from."""
    by_id = {case["id"]: case for case in cases}
    parents: dict[str, str] = {}
    for case in cases:
        if case["group"] == "ancestry" and case["response"]["status"] == 200:
            for item in filled(case["response"]["body"])["items"]:
                for parent in item["parentEntityRefs"]:
                    parents[ref_of(item["entity"])] = parent
    store(filled(by_id["entities-001"]["response"]["body"]), parents=parents)
    root = f"location:default/generated-{hashlib.sha1(f'url:{ROOT}'.encode()).hexdigest()}"
    source = Source.objects.create(name="kit", target=ROOT, entity_ref=root, registered_by="api")
    Entity.objects.update(source=source)
    again = {"entity_ref": "component:default/twice", "parent_ref": "location:default/dup-one-file"}
    Contender.objects.create(source=source, url=f"{SEED}/dup/same-file.yaml", same_file=True, **again)
    TokenFactory(text=TOKEN, user=UserFactory(is_staff=True))


class DjangoClient:
    """What ``replay.py`` sends with, without a network."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=True)

    def send(self, request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        path = request["path"]
        if request.get("query"):
            path += "?" + urlencode([tuple(pair) for pair in request["query"]], quote_via=quote)
        if request.get("rawquery"):
            path += "?" + request["rawquery"]
        headers = {"Accept": "application/json"}
        auth = request.get("auth", "service")
        if auth != "none":
            headers["Authorization"] = f"Bearer {TOKEN if auth == 'service' else 'not-a-token'}"
        headers.update(request.get("headers") or {})
        data, kind = b"", headers.pop("Content-Type", "application/json")
        if "body" in request:
            data = json.dumps(request["body"], ensure_ascii=False).encode()
        if "rawbody" in request:
            data = request["rawbody"].encode()
        answer = self.client.generic(request["method"], path, data, kind if data else "", headers=headers)
        raw = b"".join(answer.streaming_content) if answer.streaming else answer.content
        kept = {"content-type": answer["Content-Type"].split(";")[0].strip()} if raw else {}
        if "link" in answer:
            kept["link"] = answer["link"]
        return answer.status_code, kept, json.loads(raw) if raw else None


@pytest.mark.usefixtures("seed")
def test_every_recorded_read_is_answered_in_the_same_way(
    replay: ModuleType, cases: list[dict[str, Any]]
) -> None:
    different = {case["id"]: difference for case, difference in differences(replay, cases) if difference}
    assert different.keys() == BETTER.keys(), different


def differences(
    replay: ModuleType, cases: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], str | None]]:
    client, norm = DjangoClient(), replay.Normaliser(base="http://testserver")
    norm.know(ROOT)
    by_id, memory, done = {case["id"]: case for case in cases}, {}, {}

    def execute(case: dict[str, Any]) -> Any:
        if case["id"] not in done:
            for other in replay.needs_cases(case.get("request") or case.get("walk")):
                if other in by_id:
                    execute(by_id[other])
            done[case["id"]] = replay.run_read(client, norm, case, memory)
        return done[case["id"]]

    for case in cases:
        got = replay.comparable(execute(case), case.get("compare"))
        yield case, replay.first_difference(replay.comparable(case["response"], case.get("compare")), got)
