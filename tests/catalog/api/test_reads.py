"""Stock's read paths: who may ask, what is refused and how, and what an answer costs."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Entity
from catalog.query.memory import memory
from portal.access import querysets
from portal.access.models import Token
from portal.access.services import revoke_token
from portal.access.viewer import Viewer
from portal.core.querysets import guarded_reads
from tests.factories.access import StaffFactory, TokenFactory, UserFactory
from tests.factories.catalog import document, store

CATALOG = "/api/catalog"
pytestmark = pytest.mark.django_db

Api = Client


def client_of(token: Token | None = None) -> Api:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(headers=headers)


@pytest.fixture
def catalog() -> list[Entity]:
    return store(
        [
            document(
                "shop",
                title="Shop",
                tags=["java"],
                spec={"type": "service"},
                relations=[("ownedBy", "group:default/a")],
            ),
            document("till", spec={"type": "service"}),
            document("orders", kind="API", spec={"type": "openapi"}),
        ]
    )


@pytest.fixture
def api() -> Api:
    """A client with the token of an ordinary person."""
    token = TokenFactory(text="cb_reader", user=UserFactory())
    assert token.pk
    return Client(headers={"Authorization": "Bearer cb_reader"})


@pytest.fixture
def staff() -> Api:
    TokenFactory(text="cb_staff", user=StaffFactory())
    return Client(headers={"Authorization": "Bearer cb_staff"})


def names(answer: Any) -> list[str]:
    body = json.loads(b"".join(answer.streaming_content)) if answer.streaming else answer.json()
    items = body if isinstance(body, list) else body["items"]
    return [item["metadata"]["name"] if item else None for item in items]


READS = (
    "/entities",
    "/entities/by-query",
    "/entities/by-name/component/default/shop",
    "/entity-facets?facet=kind",
    "/entities/by-name/component/default/shop/ancestry",
    "/entities/by-uid/x",
    "/openapi.json",
    "/no/such/path",
)


@pytest.mark.parametrize("path", READS)
def test_nothing_is_said_without_a_token(path: str) -> None:
    answer = Client().get(CATALOG + path)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    body = answer.json()
    assert body["error"]["name"] == "AuthenticationError"
    assert body["error"]["remedy"]
    assert body["request"] == {"method": "GET", "url": path}
    assert body["response"] == {"statusCode": 401}


@pytest.mark.parametrize("path", ["/entities/by-query", "/entities/by-refs", "/entity-facets"])
def test_nothing_is_said_to_a_post_without_a_token(path: str) -> None:
    assert Client().post(CATALOG + path, {}, content_type="application/json").status_code == 401


@pytest.mark.usefixtures("catalog")
def test_a_token_ends_with_its_revocation(staff: Api) -> None:
    token = TokenFactory(text="cb_short", user=UserFactory())
    reader = Client(headers={"Authorization": "Bearer cb_short"})
    assert reader.get(f"{CATALOG}/entities").status_code == 200
    revoke_token(actor=Viewer.system("test"), token=token)
    assert reader.get(f"{CATALOG}/entities").status_code == 401


@pytest.mark.usefixtures("catalog")
def test_a_session_reads_too() -> None:
    browser = Client()
    browser.force_login(UserFactory(), backend="portal.access.backends.Backend")
    assert names(browser.get(f"{CATALOG}/entities?filter=kind=api")) == ["orders"]


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nope"),
        ("GET", "/entities/by-something/x"),
        ("POST", "/entities"),
        ("DELETE", "/entity-facets"),
        ("PATCH", "/locations"),
        ("GET", "/entities/by-refs"),
        ("GET", "/entities/by-name/component/shop"),
        ("OPTIONS", "/entities"),
        ("PUT", "/"),
        ("GET", "/"),
        ("GET", "/entities/by-name/a/b/c/d/e"),
    ],
)
def test_an_unknown_path_or_method_is_404_without_a_body(api: Api, method: str, path: str) -> None:
    answer = api.generic(method, CATALOG + path)
    assert answer.status_code == 404
    assert answer.content == b""


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    "path",
    [
        "/Entities/By-Name/Component/Default/SHOP",
        "//entities//by-name/component/default/shop/",
        "/entities/by-name/component/default/shop/",
        "/ENTITIES/by-name/component/default/sh%6Fp",
    ],
)
def test_letter_case_and_slashes_of_an_address_do_not_matter(api: Api, path: str) -> None:
    answer = api.get(CATALOG + path)
    assert answer.status_code == 200
    assert answer.json()["metadata"]["name"] == "shop"


def test_head_answers_without_a_body(api: Api, catalog: list[Entity]) -> None:
    answer = api.head(f"{CATALOG}/entities/by-name/{catalog[0].ref.replace(':', '/')}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_documents_are_handed_out_as_they_are_stored(api: Api, catalog: list[Entity]) -> None:
    text = catalog[0].document.text
    assert api.get(f"{CATALOG}/entities/by-name/component/default/shop").content.decode() == text
    assert api.get(f"{CATALOG}/entities/by-uid/{catalog[0].uid}").content.decode() == text
    assert text in api.get(f"{CATALOG}/entities").content.decode()
    assert text in api.get(f"{CATALOG}/entities/by-query").content.decode()


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/entities?foo=1", "api.parameter.unknown"),
        ("/entities?orderField=kind", "api.parameter.unknown"),
        ("/entities?filter=", "api.parameter.empty"),
        ("/entities?limit=1&limit=2", "api.parameter.repeated"),
        ("/entities?limit=0", "api.number"),
        ("/entities?limit=-1", "api.number"),
        ("/entities?limit=1.5", "api.number"),
        ("/entities?limit=%D9%A3", "api.number"),
        (f"/entities?offset={'9' * 40}", "api.number"),
        ("/entities?after=x", "cursor.malformed"),
        (f"/entities?after={base64.b64encode(b'[]').decode()}", "cursor.malformed"),
        ("/entities?after=eyJsaW1pdCI6MH0=", "api.number"),
        ("/entities?order=kind", "catalog.order.direction"),
        ("/entities?order=up:kind", "catalog.order.direction"),
        ("/entities?order=asc:", "catalog.order.field"),
        ("/entities?fields=a[0]", "catalog.fields.bracket"),
        ("/entities/by-query?orderField=kind,up", "catalog.order.direction"),
        ("/entities/by-query?orderField=,asc", "catalog.order.field"),
        ("/entities/by-query?totalItems=maybe", "api.parameter.choice"),
        ("/entities/by-query?cursor=abc", "cursor.malformed"),
        ("/entities/by-query?filter==x", "catalog.filter.key"),
        ("/entity-facets", "catalog.facets.missing"),
        ("/entity-facets?facet=kind&limit=1", "api.parameter.unknown"),
        ("/entities/by-uid/x?y=1", "api.parameter.unknown"),
        ("/entities/by-name/component/default/shop?fields=kind", "api.parameter.unknown"),
        ("/openapi.json?x=1", "api.parameter.unknown"),
    ],
)
def test_what_does_not_fit_is_refused_by_rule(api: Api, path: str, code: str) -> None:
    answer = api.get(CATALOG + path)
    assert answer.status_code == 400, answer.content
    error = answer.json()["error"]
    assert (error["name"], error["code"]) == ("InputError", code)
    assert error["requestId"] == answer["X-Request-Id"]


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/entities/by-query", b"{oops"),
        ("/entities/by-query", b"[]"),
        ("/entities/by-query", b'"x"'),
        ("/entities/by-query", b"null"),
        ("/entities/by-query", b'{"query":{"kind":"\\ud800"}}'),
        ("/entities/by-query", b'{"limit":NaN}'),
        ("/entities/by-query", b"\xff"),
        ("/entities/by-query", b'{"limit":"3"}'),
        ("/entities/by-query", b'{"limit":true}'),
        ("/entities/by-query", b'{"limit":-1}'),
        ("/entities/by-query", b'{"fields":"kind"}'),
        ("/entities/by-query", b'{"fields":[1]}'),
        ("/entities/by-query", b'{"cursor":""}'),
        ("/entities/by-query", b'{"orderBy":[{"field":"kind"}]}'),
        ("/entities/by-query", b'{"orderBy":[1]}'),
        ("/entities/by-query", b'{"orderBy":[{"field":"kind","order":"up"}]}'),
        ("/entities/by-query", b'{"fullTextFilter":{"term":1}}'),
        ("/entities/by-query", b'{"fullTextFilter":{"term":"x","fields":"y"}}'),
        ("/entities/by-query", b'{"totalItems":"maybe"}'),
        ("/entities/by-refs", b"{}"),
        ("/entities/by-refs", b'{"entityRefs":"a"}'),
        ("/entities/by-refs", b'{"entityRefs":[1]}'),
        ("/entities/by-refs", b'{"entityRefs":[],"query":{"kind":null}}'),
        ("/entity-facets", b"{}"),
        ("/entity-facets", b'{"facets":[]}'),
        ("/entity-facets", b'{"facets":["kind"],"query":[]}'),
    ],
)
def test_a_body_that_does_not_fit_is_refused(api: Api, path: str, body: bytes) -> None:
    answer = api.post(CATALOG + path, body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["name"] == "InputError"


def test_a_body_that_is_no_json_is_refused(api: Api) -> None:
    answer = api.post(
        f"{CATALOG}/entities/by-query", b"a=1", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 400


def test_a_thousand_parameters_are_refused_and_do_no_harm(api: Api) -> None:
    answer = api.get(f"{CATALOG}/entities?" + "&".join(["filter=kind=x"] * 1_100))
    assert answer.status_code == 400
    assert answer.json()["error"]["name"] == "InputError"


@pytest.mark.usefixtures("catalog")
def test_references_are_compared_as_written_and_absent_ones_are_null(api: Api) -> None:
    refs = ["component:default/shop", "Component:default/shop", "x", "a\0b", "component:default/shop"]
    answer = api.post(f"{CATALOG}/entities/by-refs", {"entityRefs": refs}, content_type="application/json")
    assert names(answer) == ["shop", None, None, None, "shop"]


@pytest.mark.usefixtures("catalog")
def test_the_link_header_leads_through_the_list_with_the_same_parameters(api: Api) -> None:
    first = api.get(
        f"{CATALOG}/entities?limit=2&filter=kind%3Dcomponent%2Ckind%3Dapi&offset=0&order=asc:metadata.name"
    )
    assert names(first) == ["orders", "shop"]
    address, _, relation = first["link"].partition("; ")
    assert relation == 'rel="next"'
    assert address.startswith(
        "</entities?limit=2&filter=kind%3Dcomponent%2Ckind%3Dapi&order=asc%3Ametadata.name&after="
    )
    second = api.get(CATALOG + address.strip("<>"))
    assert names(second) == ["till"]
    assert "link" not in second


@pytest.mark.usefixtures("catalog")
def test_a_narrowed_viewer_cannot_tell_hidden_from_absent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(querysets._policies, "catalog.entity", lambda viewer, action: ~Q(name="shop"))
    hidden = api.get(f"{CATALOG}/entities/by-name/component/default/shop")
    absent = api.get(f"{CATALOG}/entities/by-name/component/default/nope")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["error"]["message"].replace("shop", "nope") == absent.json()["error"]["message"]
    assert api.get(f"{CATALOG}/entities/by-name/component/default/shop/ancestry").status_code == 404
    assert api.get(f"{CATALOG}/entities/by-uid/{Entity.objects.get(name='shop').uid}").status_code == 404
    assert sorted(names(api.get(f"{CATALOG}/entities"))) == ["orders", "till"]
    query = api.get(f"{CATALOG}/entities/by-query?orderField=metadata.name").json()
    assert (len(query["items"]), query["totalItems"]) == (2, 2)
    refs = {"entityRefs": ["component:default/shop", "component:default/till"]}
    assert names(api.post(f"{CATALOG}/entities/by-refs", refs, content_type="application/json")) == [
        None,
        "till",
    ]
    facets = api.get(
        f"{CATALOG}/entity-facets?facet=metadata.tags&facet=relations.ownedBy&facet=kind"
    ).json()["facets"]
    assert facets["metadata.tags"] == facets["relations.ownedBy"] == []
    assert sum(item["count"] for item in facets["kind"]) == 2


def test_ancestors_that_the_viewer_may_not_see_are_left_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [document(name, kind="Location") for name in ("root", "middle")] + [document("leaf")]
    parents = {
        "component:default/leaf": "location:default/middle",
        "location:default/middle": "location:default/root",
    }
    store(documents, parents=parents)
    path = f"{CATALOG}/entities/by-name/Component/default/Leaf/ancestry"
    body = api.get(path).json()
    assert body["rootEntityRef"] == "component:default/leaf"
    assert names(
        type("A", (), {"streaming": False, "json": lambda self: [i["entity"] for i in body["items"]]})()
    ) == [
        "leaf",
        "middle",
        "root",
    ]
    assert [item["parentEntityRefs"] for item in body["items"]] == [
        ["location:default/middle"],
        ["location:default/root"],
        [],
    ]
    monkeypatch.setitem(querysets._policies, "catalog.entity", lambda viewer, action: ~Q(name="middle"))
    narrowed = api.get(path).json()["items"]
    assert [item["entity"]["metadata"]["name"] for item in narrowed] == ["leaf", "root"]
    assert [item["parentEntityRefs"] for item in narrowed] == [[], []]


def test_a_circle_of_locations_ends(api: Api) -> None:
    store(
        [document("a", kind="Location"), document("b", kind="Location")],
        parents={"location:default/a": "location:default/b", "location:default/b": "location:default/a"},
    )
    body = api.get(f"{CATALOG}/entities/by-name/location/default/a/ancestry").json()
    assert [item["entity"]["metadata"]["name"] for item in body["items"]] == ["a", "b"]


def test_deleting_by_uid_is_for_owners_and_curators(api: Api, catalog: list[Entity]) -> None:
    answer = api.delete(f"{CATALOG}/entities/by-uid/{catalog[0].uid}")
    assert answer.status_code == 403
    assert Entity.objects.filter(pk=catalog[0].pk).exists()


@pytest.mark.parametrize("uid", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_deleting_an_unknown_uid_is_204(staff: Api, uid: str) -> None:
    answer = staff.delete(f"{CATALOG}/entities/by-uid/{uid}")
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_long_list_is_streamed_and_whole(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from catalog.api import entities

    monkeypatch.setattr(entities, "PIECE", 2)
    monkeypatch.setattr(entities, "WHOLE", 4)
    store([document(f"e{i}") for i in range(5)])
    answer = api.get(f"{CATALOG}/entities?order=desc:metadata.name&fields=metadata.name")
    assert answer.streaming
    assert names(answer) == ["e4", "e3", "e2", "e1", "e0"]


@pytest.mark.django_db(transaction=True)
def test_whole_answers_are_remembered_until_the_next_publication(api: Api, catalog: list[Entity]) -> None:
    paths = (
        "/entities?filter=kind=component",
        "/entity-facets?facet=kind",
        "/entities/by-query?filter=kind=component&limit=1",
    )
    first = {path: api.get(CATALOG + path).content for path in paths}
    with CaptureQueriesContext(connection) as seen:
        again = {path: api.get(CATALOG + path).content for path in paths}
    assert again == first
    # The numbers of rules and entities, and nothing for the token within a second.
    assert len(seen) == 2 * len(paths)
    store([document("new")])
    assert all(api.get(CATALOG + path).content != first[path] for path in paths)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_for_everything_at_once_one_makes_the_answer(
    api: Api, catalog: list[Entity], monkeypatch: pytest.MonkeyPatch
) -> None:
    from catalog.api import entities

    made, put_together = [], entities._array
    everybody_looked = Barrier(4)
    first_look = memory.get

    def slowly(*args: Any) -> Any:
        made.append(1)
        return put_together(*args)

    def look(version: int | None, key: Any) -> Any:
        found = first_look(version, key)
        if key[0] == "list" and not looked.value:
            looked.value = True
            everybody_looked.wait(10)
        return found

    class Looked(local):
        value = False

    looked = Looked()
    monkeypatch.setattr(entities, "_array", slowly)
    monkeypatch.setattr(memory, "get", look)

    def ask(_: int) -> bytes:
        try:
            return api.get(f"{CATALOG}/entities?filter=kind=component").content
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(ask, range(4)))
    assert (len(answers), len(made)) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_references_that_were_asked_for_before_cost_the_number_alone(api: Api, catalog: list[Entity]) -> None:
    refs = [entity.ref for entity in catalog]

    def ask(wanted: list[str]) -> list[str | None]:
        items = api.post(
            f"{CATALOG}/entities/by-refs", {"entityRefs": wanted}, content_type="application/json"
        ).json()["items"]
        return [item and item["metadata"]["name"] for item in items]

    first = ask(refs[:2])
    with CaptureQueriesContext(connection) as seen:
        assert ask([*refs[:2], "component:default/nobody"]) == [*first, None]
    assert len(seen) == 3, "the numbers of rules and entities, and one for the reference that is not known"
    with CaptureQueriesContext(connection) as seen:
        assert ask([refs[1], refs[0], refs[1]]) == [first[1], first[0], first[1]]
    assert len(seen) == 2


STATEMENTS = {
    "/entities": 2,
    "/entities?limit=1&filter=spec.type=service": 3,
    "/entities/by-query?filter=spec.type=service": 3,
    "/entities/by-name/component/default/shop": 1,
    "/entities/by-name/component/default/shop/ancestry": 3,
    "/entities/by-uid/00000000-0000-4000-8000-000000000000": 1,
    "/entity-facets?facet=kind&facet=spec.type&filter=kind=api": 2,
    "/entity-facets?facet=relations.ownedBy": 2,
}


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize("path", STATEMENTS)
def test_an_answer_costs_few_statements(api: Api, path: str) -> None:
    api.get(f"{CATALOG}/nothing")  # notes the use of the token
    with CaptureQueriesContext(connection) as seen, guarded_reads():
        b"".join(api.get(CATALOG + path))
    token, rules = 2, 1  # inside of a transaction its use is looked up anew
    assert len(seen) == token + rules + STATEMENTS[path], [query["sql"] for query in seen]


def test_the_paths_describe_themselves(api: Api) -> None:
    described = api.get(f"{CATALOG}/openapi.json").json()
    assert described["servers"] == [{"url": "/api/catalog"}]
    assert {"/entities", "/entities/by-query", "/entity-facets", "/locations", "/refresh"} <= described[
        "paths"
    ].keys()
    assert set(described["components"]["securitySchemes"]) == {"session", "token"}


def test_the_whole_api_is_described_and_can_be_read_by_people_who_are_signed_in(api: Api) -> None:
    assert Client().get("/api/schema/").status_code == 401
    assert b"/api/catalog/entities/by-query" in api.get("/api/schema/").content
    assert Client().get("/api/docs/").status_code == 302
    browser = Client()
    browser.force_login(UserFactory(), backend="portal.access.backends.Backend")
    page = browser.get("/api/docs/")
    assert page.status_code == 200
    assert b"drf_spectacular_sidecar/swagger-ui" in page.content
    assert b"http://" not in page.content.replace(b"http://www.w3.org", b"")
