"""After a test with real transactions the database is as Django's flush would leave it, whatever the test did."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import models

from catalog.models import DataVersion, Kind
from catalog.query import EntityQuery
from catalog.services.kinds import current_registry
from catalog.services.versions import KINDS, raise_version
from tests.catalog.query.examples import VIEWER
from tests.factories.access import GroupFactory, StaffFactory
from tests.factories.catalog import document, store
from tests.services.emptying import Emptier

pytestmark = pytest.mark.django_db(transaction=True)


def flush() -> None:
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


def contents() -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, without the numbers that a flush gives anew."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        rows = [tuple(map(str, row)) for row in model._base_manager.values_list(*_columns(model))]
        found[model._meta.db_table] = sorted(rows)
    return found


def _columns(model: type[models.Model]) -> list[str]:
    numbers = (models.AutoField, models.ForeignKey, models.DateTimeField)
    return [f.name for f in model._meta.concrete_fields if not isinstance(f, numbers)]


@pytest.fixture
def emptier() -> Emptier:
    """One that has seen what stays."""
    made = Emptier()
    made.empty(flush)
    return made


def test_what_a_test_made_is_gone_and_what_migrations_end_with_stays(emptier: Emptier) -> None:
    before = contents()
    assert len(before["catalog_kind"]) > 5 and len(before["auth_permission"]) > 100
    StaffFactory().user_permissions.add(Permission.objects.all()[0])
    GroupFactory()
    store([document("shop", relations=[("ownedBy", "group:default/a")]), document("web")])
    ContentType.objects.create(app_label="acme", model="ward")
    assert contents() != before
    emptier.empty(lambda: pytest.fail("the short way is enough"))
    assert contents() == before
    flush()
    assert contents() == before, "which is what Django's flush leaves"


def _raise_number() -> None:
    raise_version(KINDS)


def _add_and_change_a_kind() -> None:
    Kind.objects.create(name="Ward", plural="Wards")
    Kind.objects.filter(name="API").update(enabled=False)


@pytest.mark.parametrize(
    "change", [_raise_number, _add_and_change_a_kind, lambda: Permission.objects.all()[0].delete()]
)
def test_where_a_test_changed_what_stays_all_is_made_anew(
    emptier: Emptier, change: Callable[[], object]
) -> None:
    before = contents()
    current_registry()
    change()
    assert contents() != before
    called = []
    emptier.empty(lambda: (called.append(1), flush()))
    assert called
    assert contents() == before
    StaffFactory()
    emptier.empty(lambda: pytest.fail("it knows the new rows"))
    assert contents() == before


def test_numbers_that_begin_again_meet_an_empty_memory(emptier: Emptier) -> None:
    store([document("a")])
    assert EntityQuery(VIEWER).count() == 1
    emptier.empty(lambda: pytest.fail("the short way is enough"))
    assert not DataVersion.objects.exclude(pk=KINDS).exists()
    store([document("a"), document("b")])
    assert EntityQuery(VIEWER).count() == 2
