"""The database itself keeps the audit table append-only, whoever asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction

from portal.audit import guards
from portal.audit.models import AuditEvent
from portal.audit.services import record, seal, verify
from tests.factories.audit import all_guards_on

pytestmark = [pytest.mark.django_db, pytest.mark.req("R123")]


@pytest.fixture(autouse=True)
def _guarded() -> Iterator[None]:
    with all_guards_on():
        yield


def _run(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def _write(count: int) -> None:
    for number in range(count):
        record(actor="user:maren", verb="test.thing.done", object_type="test", object_id=str(number))


CHANGES = [
    *(f"{column} = 'x'" for column in guards.KEPT if column not in ("id", "at", "before", "after")),
    "id = 77",
    "at = '2020-01-01 00:00:00+00'",
    "after = '{\"a\": 1}'",
    "before = '{\"a\": 1}'",
]


@pytest.mark.parametrize("change", [*CHANGES, "position = 9", "digest = 'x'", "position = NULL"])
def test_a_sealed_record_is_not_changed_by_sql(change: str) -> None:
    _write(1)
    seal()
    with pytest.raises(DatabaseError, match="append-only"):
        _run(f"UPDATE audit_auditevent SET {change}")
    assert verify().holding == 1


@pytest.mark.parametrize("change", [*CHANGES, "digest = 'x'", "position = 1, actor = 'x'"])
def test_of_a_record_that_waits_only_its_place_is_written(change: str) -> None:
    _write(1)
    with pytest.raises(DatabaseError, match="append-only"):
        _run(f"UPDATE audit_auditevent SET {change}")
    assert seal() == 1 and verify().holding == 1


@pytest.mark.parametrize("sealed", [True, False])
def test_no_record_is_removed_by_sql(sealed: bool) -> None:
    _write(2)
    if sealed:
        seal()
    with pytest.raises(DatabaseError, match="append-only"):
        _run("DELETE FROM audit_auditevent WHERE object_id = '1'")
    assert AuditEvent.objects.count() == 2


def test_a_guard_that_was_switched_off_is_named() -> None:
    assert guards.missing(connection) == []
    guards.remove(connection, guards.DELETE)
    assert guards.missing(connection) == [guards.DELETE]


def test_columns_added_to_the_record_are_guarded_too() -> None:
    columns = {field.column for field in AuditEvent._meta.concrete_fields}
    assert columns == {*guards.KEPT, "position", "digest"}
