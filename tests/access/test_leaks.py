"""What a person may not see does not exist for them: no list, page, count, facet, search, error or export names it.

The guard of querysets cannot look into statements that are written by hand, so this test looks at what comes out.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Q
from django.test import Client

from catalog.models import Entity
from portal.access import querysets
from portal.access.viewer import Viewer
from tests.access import matrix
from tests.access.matrix import ENTRIES, OPERATIONS
from tests.factories.catalog import document, store
from tests.factories.world import World, make_problem, make_source

SECRET = "vault"
#: Columns by which rows of a model belong to a hidden entity or source.
HIDDEN: dict[str, Q] = {
    "catalog.entity": Q(name__startswith=SECRET),
    "catalog.entitydocument": Q(entity__name__startswith=SECRET),
    "catalog.entityattribute": Q(entity__name__startswith=SECRET),
    "catalog.relation": Q(origin__name__startswith=SECRET),
    "catalog.source": Q(name__startswith=SECRET),
    "catalog.sync": Q(source__name__startswith=SECRET),
    "catalog.problem": Q(source__name__startswith=SECRET),
    "catalog.contender": Q(source__name__startswith=SECRET),
}


def _hides(condition: Q) -> querysets.Policy:
    def policy(viewer: Viewer, action: str) -> Q | None:
        return ~condition if viewer.allows(action) else None

    return policy


def _add_secrets() -> list[Entity]:
    hidden = make_source(SECRET)
    make_problem(hidden, 7, entity_ref=f"component:default/{SECRET}", message=f"{SECRET} is broken")
    spec = {"type": SECRET, "lifecycle": SECRET, "owner": "shop-team", "definition": SECRET}
    named = {"title": f"{SECRET} title", "tags": [SECRET], "annotations": {f"{SECRET}.example/key": SECRET}}
    return store(
        [
            document(SECRET, spec=spec, relations=[("ownedBy", "group:default/shop-team")], **named),
            document(f"{SECRET}-api", kind="API", spec={**spec, "type": SECRET}, **named),
            document(f"{SECRET}-team", kind="Group", spec={"type": "team", "children": []}, **named),
        ]
    )


@pytest.fixture
def secrets(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Entity]:
    """Entities and a source that a member may not see."""
    for label, condition in HIDDEN.items():
        monkeypatch.setitem(querysets._policies, label, _hides(condition))
    return _add_secrets()


def _get(client: Client, path: str, **more: Any) -> tuple[int, str]:
    answer = client.generic(more.pop("method", "GET"), path, **more)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]  # Django's own
    return answer.status_code, content.decode()


def test_no_page_names_what_the_viewer_may_not_see(world: World, secrets: list[Entity]) -> None:
    client = Client()
    client.force_login(world.member)
    leaks = []
    for entry in ENTRIES:
        if entry.method == "GET":
            path = entry.path.format(
                source=world.source.pk,
                uid=world.entity.uid,
                hook=world.subscription.pk,
                letter=world.delivery.pk,
            )
            if SECRET in _get(client, path)[1]:
                leaks.append(str(entry))
    assert leaks == []


def test_no_operation_names_or_counts_what_the_viewer_may_not_see(
    world: World, secrets: list[Entity]
) -> None:
    client = Client(headers={"Authorization": f"Bearer {world.tokens['member']}"})
    for entry in OPERATIONS:
        if entry.member != 200:
            continue
        path = entry.path.format(source=world.source.pk, uid=world.entity.uid)
        with_secrets = _get(client, path, method=entry.method, **matrix.body_of(entry))
        assert SECRET not in with_secrets[1], str(entry)


ASKED = (
    "/api/catalog/entities?filter=kind=component",
    "/api/catalog/entities?order=asc:metadata.name",
    "/api/catalog/entities/by-query?limit=1",
    "/api/catalog/entities/by-query?fullTextFilterTerm=vault",
    "/api/catalog/entities/by-query?filter=metadata.tags=vault",
    "/api/catalog/entities/by-query?orderField=metadata.name,desc&limit=2",
    "/api/catalog/entity-facets?facet=kind&facet=spec.type&facet=metadata.tags&facet=spec.lifecycle",
    "/api/catalog/entity-facets?facet=metadata.annotations.vault.example/key",
    "/catalog/?q=vault",
    "/catalog/?kind=component&type=vault",
    "/catalog/problems/?q=vault",
)  # fmt: skip


@pytest.mark.parametrize("path", ASKED)
def test_asking_for_it_gives_the_answer_of_a_catalog_without_it(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for label, condition in HIDDEN.items():
        monkeypatch.setitem(querysets._policies, label, _hides(condition))
    client = Client(headers={"Authorization": f"Bearer {world.tokens['member']}"})
    if not path.startswith("/api/"):
        client.force_login(world.member)
    before = _get(client, path)
    _add_secrets()
    after = _get(client, path)
    assert after[0] == before[0]
    if path.startswith("/api/"):
        assert after[1] == before[1]
    else:
        assert "vault title" not in after[1] and "default/vault" not in after[1]


def test_by_its_name_it_is_not_there(world: World, secrets: list[Entity]) -> None:
    hidden = secrets[0]
    api = Client(headers={"Authorization": f"Bearer {world.tokens['member']}"})
    assert _get(api, "/api/catalog/entities/by-name/component/default/vault")[0] == 404
    assert _get(api, "/api/catalog/entities/by-name/component/default/vault/ancestry")[0] == 404
    assert _get(api, f"/api/catalog/entities/by-uid/{hidden.uid}")[0] == 404
    asked = {"data": '{"entityRefs": ["component:default/vault"]}', "content_type": "application/json"}
    status, body = _get(api, "/api/catalog/entities/by-refs", method="POST", **asked)
    assert (status, body) == (200, '{"items":[null]}')
    browser = Client()
    browser.force_login(world.member)
    nowhere = _get(browser, "/catalog/default/component/nowhere/")
    there = _get(browser, "/catalog/default/component/vault/")
    assert there[0] == nowhere[0] == 404
    assert "vault title" not in there[1]


def test_the_admin_hides_it_too(world: World, secrets: list[Entity]) -> None:
    browser = Client()
    browser.force_login(world.staff)
    for path in (
        "entity/",
        "source/",
        "problem/",
        "sync/",
        "entity/?q=vault",
        "problem/?source__id__exact=1",
    ):
        assert "vault" not in _get(browser, f"/admin/catalog/{path}")[1].replace("q=vault", "").replace(
            'value="vault"', ""
        ), path
    assert browser.get(f"/admin/catalog/entity/{secrets[0].pk}/change/").status_code == 302
    exported = browser.post(
        "/admin/catalog/entity/export/", {"format": "0", "resource": "", "entityresource_ref": "on"}
    )
    assert b"component:default/shop" in exported.content and b"vault" not in exported.content
    cards = {card.title: card.count for card in browser.get("/admin/").context["cards"]}
    assert cards["Errors in sources"] == 1


def test_whoever_may_see_it_sees_it(world: World) -> None:
    _add_secrets()
    api = Client(headers={"Authorization": f"Bearer {world.tokens['member']}"})
    assert _get(api, "/api/catalog/entities/by-name/component/default/vault")[0] == 200
    assert SECRET in _get(api, "/api/catalog/entities")[1]
