"""Rows of an earlier release after the migrations that came since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from catalog.models import Entity, Revision, Tombstone
from catalog.services.removals import remove_by_uid, restore_entity
from tests.factories.sources import SYSTEM, entity, forget_catalog

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"


def migrate(name: str) -> Any:
    """The models as they were after a migration of the catalog."""
    executor = MigrationExecutor(connection)
    executor.migrate([("catalog", name)])
    return MigrationExecutor(connection).loader.project_state([("catalog", name)]).apps


@pytest.fixture
def before_versions() -> Iterator[Any]:
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("catalog")
    forget_catalog()
    try:
        yield migrate("0002_removals")
    finally:
        MigrationExecutor(connection).migrate(newest)


def test_an_entity_that_was_restored_before_there_were_versions_has_the_one_after_its_tombstone(
    before_versions: Any,
) -> None:
    uid, now = uuid4(), timezone.now()
    text = (
        '{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"name":"shop","namespace":"default",'
        f'"uid":"{uid}","etag":"e"}},"spec":{{"type":"service"}},"relations":[]}}'
    )
    named = {"uid": uid, "ref": SHOP, "kind": "component", "namespace": "default", "name": "shop"}
    row = before_versions.get_model("catalog", "Entity").objects.create(
        **named,
        label="shop",
        etag="e",
        content_hash="h",
        url="u",
        created_at=now,
        changed_at=now,
        state="active",
    )
    before_versions.get_model("catalog", "EntityDocument").objects.create(entity=row, text=text)
    before_versions.get_model("catalog", "Tombstone").objects.create(
        **named, text=text, relations=[], url="u", content_hash="h", reason="deleted",
        removed_at=now - timedelta(hours=1), keep_until=now + timedelta(days=1), restored_at=now, restored_by="user:a",
    )  # fmt: skip
    MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes("catalog"))
    assert entity(SHOP).revision == 2
    remove_by_uid(actor=SYSTEM, uid=str(uid))
    stone = Tombstone.objects.unrestricted("test").get(restored_at=None)
    assert restore_entity(actor=SYSTEM, tombstone=stone).revision == 3
    numbers = Revision.objects.unrestricted("test").filter(uid=uid).order_by("number")
    assert list(numbers.values_list("number", flat=True)) == [1, 2]
    assert Entity.objects.unrestricted("test").count() == 1
