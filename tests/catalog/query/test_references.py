"""References to nothing: exact the moment an entity appears or goes, and the same for what a viewer may not see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Q
from django.test import Client

from catalog.models import Entity, MissingTarget
from catalog.query import EntityQuery
from catalog.query.health import health_report, missing_target_count
from catalog.query.references import References
from portal.access import querysets
from portal.access.models import User
from portal.access.viewer import Viewer
from tests.factories.access import UserFactory
from tests.factories.catalog import document, store
from tests.factories.sources import Folder, assert_catalog_is_consistent, component

SYSTEM = Viewer.system("test")
MEMBER = Viewer(actor="user:member", user_id=1)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return Folder(tmp_path / "company")


@pytest.fixture
def hidden() -> Iterator[None]:
    """Entities whose name begins with "secret" are for staff only."""

    def policy(viewer: Viewer, action: str) -> Q | None:
        return Q() if viewer.is_staff or viewer.is_system else ~Q(name__startswith="secret")

    before = dict(querysets._policies)
    querysets.set_policy("catalog.entity", policy)
    yield
    querysets._policies.clear()
    querysets._policies.update(before)


def missing(viewer: Viewer = SYSTEM) -> dict[str, int]:
    return {row.ref: row.entities for row in References(viewer).page(100).rows}


def dangling(viewer: Viewer = SYSTEM) -> set[str]:
    return set(EntityQuery(viewer, include={"refs": ["nothing"]}).entities().values_list("ref", flat=True))


@pytest.mark.req("R013")
def test_a_reference_is_one_to_nothing_until_its_target_appears_and_again_when_it_goes(
    folder: Folder,
) -> None:
    folder.write("shop.yaml", component("shop", dependsOn="[component:till]"))
    folder.sync()
    assert missing() == {"component:default/till": 1, "group:default/platform": 1}
    folder.write("till.yaml", component("till"))
    folder.sync()
    assert missing() == {"group:default/platform": 2}
    folder.remove("till.yaml")
    folder.sync()
    assert missing() == {"component:default/till": 1, "group:default/platform": 1}
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    assert missing() == {"group:default/platform": 1}
    folder.remove("shop.yaml")
    folder.write("none.yaml", component("none", owner="platform"))
    folder.sync()
    assert missing() == {"group:default/platform": 1}
    assert_catalog_is_consistent()


def test_the_filter_and_the_counts_name_exactly_those_that_point_to_nothing(folder: Folder) -> None:
    folder.write(
        "a.yaml", component("a", dependsOn="[component:gone, component:b]"), component("b", owner="a-team")
    )
    folder.write(
        "team.yaml",
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: a-team}\n"
        "spec: {type: team, children: []}\n",
    )
    folder.sync()
    assert dangling() == {"component:default/a"}
    counts = {c.value: c.count for c in EntityQuery(SYSTEM).facets(["refs"])["refs"]}
    assert counts == {"nothing": 1, "found": Entity.objects.unrestricted("test").count() - 1}
    narrowed = EntityQuery(SYSTEM, include={"kind": ["component"]}).facets(["refs"])["refs"]
    assert {c.value: c.count for c in narrowed} == {"nothing": 1, "found": 1}
    both = {row.ref: row.types for row in References(SYSTEM).page(10).rows}
    assert both["component:default/gone"] == (("dependsOn", 1),)
    assert References(SYSTEM).counts() == (2, 1), "two references, from one entity"


def test_pages_go_through_all_of_them_once_in_both_directions() -> None:
    store(
        [
            document(f"c{n}", relations=[("dependsOn", f"component:default/gone{m}") for m in range(n + 1)])
            for n in range(9)
        ]
    )
    references = References(SYSTEM)
    whole = [row.ref for row in references.page(100).rows]
    assert whole == [f"component:default/gone{m}" for m in range(9)], "most wanted first"
    walked, cursor, pages = [], "", []
    while True:
        page = references.page(2, cursor)
        walked += [row.ref for row in page.rows]
        pages.append([row.ref for row in page.rows])
        if not page.next_cursor:
            break
        cursor = page.next_cursor
    assert walked == whole
    back = references.page(2, page.previous_cursor)
    assert [row.ref for row in back.rows] == pages[-2]


def test_those_of_one_owner_are_counted_from_what_that_owner_has() -> None:
    store(
        [
            document(
                "a", relations=[("ownedBy", "group:default/x"), ("dependsOn", "component:default/gone")]
            ),
            document(
                "b", relations=[("ownedBy", "group:default/y"), ("dependsOn", "component:default/gone")]
            ),
        ]
    )
    rows = References(SYSTEM, ["group:default/x"]).page(10).rows
    assert {row.ref: row.entities for row in rows} == {"component:default/gone": 1, "group:default/x": 1}


def test_somebody_who_may_see_everything_gets_the_same_from_the_kept_rows_as_from_the_relations_themselves(
    hidden: None,
) -> None:
    store(
        [
            document(
                f"c{n}",
                relations=[("dependsOn", f"component:default/c{n + 5}"), ("partOf", "system:default/s")],
            )
            for n in range(20)
        ]
    )
    kept, looked_up = missing(SYSTEM), missing(MEMBER)  # nothing is hidden from the member either
    assert kept == looked_up
    assert len(kept) == 6
    assert dangling(SYSTEM) == dangling(MEMBER)


def test_a_hidden_target_looks_exactly_like_one_that_is_not_there(hidden: None) -> None:
    store(
        [
            document("shop", relations=[("dependsOn", "component:default/secret")]),
            document("till", relations=[("dependsOn", "component:default/nowhere")]),
            document("secret"),
        ]
    )
    assert missing(SYSTEM) == {"component:default/nowhere": 1}
    assert missing(MEMBER) == {"component:default/nowhere": 1, "component:default/secret": 1}
    assert dangling(MEMBER) == {"component:default/shop", "component:default/till"}
    counts = {c.value: c.count for c in EntityQuery(MEMBER).facets(["refs"])["refs"]}
    assert counts == {"nothing": 2}
    member: User = UserFactory(username="someone")
    client = Client()
    client.force_login(member)
    report = client.get("/catalog/references/").content.decode()
    for name in ("secret", "nowhere"):
        assert f"to=component%3Adefault%2F{name}" in report
        page = client.get(f"/catalog/references/?to=component:default/{name}").content.decode()
        assert "This is not in the catalog." in page
        assert "It is there" not in page


def test_the_kept_rows_are_no_more_than_what_is_missing() -> None:
    store([document("a", relations=[("dependsOn", "component:default/b")])])
    assert MissingTarget.objects.unrestricted("test").count() == 1
    store([document("b")])
    assert MissingTarget.objects.unrestricted("test").count() == 0


def test_what_only_an_entity_that_cannot_be_shown_points_to_counts_nowhere(folder: Folder) -> None:
    """Stock cannot show an entity with two spellings of a key; its relations are there all the same."""
    folder.write(
        "a.yaml",
        component("shown", owner="nobody")
        + "---\n"
        + component("clash", extra="labels: {a: x, A: y}", owner="none"),
    )
    folder.sync()
    assert_catalog_is_consistent()
    assert missing(SYSTEM) == {"group:default/nobody": 1}
    assert missing_target_count(SYSTEM) == 1
    assert health_report(SYSTEM).numbers["missing_targets"] == 1
