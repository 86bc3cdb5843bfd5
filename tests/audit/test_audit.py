"""Every write leaves a record; records are placed in commit order and chained; nobody changes one unseen."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models, transaction

from portal.access.querysets import visible
from portal.access.viewer import ANONYMOUS, Viewer
from portal.audit.models import AppendOnlyError, AuditEvent
from portal.audit.services import Verdict, record, seal, verify
from portal.core.context import address, request_id
from portal.core.crypto import new_key
from portal.core.querysets import UnscopedReadError, guarded_reads
from tests.factories.access import GroupFactory
from tests.factories.audit import guards_off

pytestmark = [pytest.mark.django_db, pytest.mark.req("R123")]


def _write(count: int) -> list[AuditEvent]:
    return [
        record(actor="user:maren", verb="test.thing.done", object_type="test", object_id=str(n))
        for n in range(count)
    ]


def _tamper(sql: str, *values: Any) -> None:
    """As somebody who owns the database: past its guards."""
    with guards_off(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_a_record_names_who_did_what_to_which_object_from_where() -> None:
    group = GroupFactory(title="Bookings")
    tokens = (request_id.set("req-12345"), address.set("192.0.2.7"))
    try:
        record(
            actor="user:maren",
            verb="access.group.renamed",
            target=group,
            before={"title": "B"},
            after={"title": "Bookings"},
        )
    finally:
        request_id.reset(tokens[0])
        address.reset(tokens[1])
    row = AuditEvent.objects.get()
    assert (row.object_type, row.object_id, row.object_name) == (
        "access.principal",
        str(group.pk),
        "Bookings",
    )
    assert (row.before, row.after) == ({"title": "B"}, {"title": "Bookings"})
    assert (row.request_id, row.address) == ("req-12345", "192.0.2.7")


def test_values_that_json_does_not_know_become_text_instead_of_ending_the_write() -> None:
    when, key = datetime(2026, 11, 21, 8, 30, tzinfo=UTC), uuid.uuid4()
    record(
        actor="x",
        verb="y",
        after={"at": when, "id": key, "n": Decimal("1.50"), "set": {"b", "a"}, "object": Viewer("me")},
    )
    after = AuditEvent.objects.get().after
    assert after is not None
    assert after["at"] == "2026-11-21T08:30:00Z" and after["id"] == str(key) and after["n"] == "1.50"
    assert after["set"] == ["a", "b"] and after["object"].startswith("Viewer(")


def test_a_record_stands_and_falls_with_its_transaction() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        record(actor="x", verb="y")
        raise RuntimeError
    assert not AuditEvent.objects.exists()


def test_sealing_gives_positions_without_gaps_and_only_once() -> None:
    _write(5)
    assert seal() == 5 and seal() == 0
    _write(3)
    assert seal() == 3
    assert list(AuditEvent.objects.order_by("id").values_list("position", flat=True)) == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
    ]
    assert verify() == Verdict(holding=8)


def test_sealing_in_several_batches_makes_one_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.core.sealing.BATCH", 2)
    _write(5)
    assert seal() == 5 and verify() == Verdict(5)


def test_records_that_wait_are_counted_and_no_error() -> None:
    _write(2)
    seal()
    _write(1)
    assert verify() == Verdict(2, waiting=1)


def test_an_empty_chain_holds() -> None:
    assert verify() == Verdict(0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "user:other"),
        ("verb", "x"),
        ("object_id", "9"),
        ("after", '{"a": 1}'),
        ("note", "x"),
        ("address", "192.0.2.1"),
        ("at", "2026-01-01 00:00:00+00:00"),
        ("digest", "0" * 64),
    ],
)
def test_a_changed_record_is_found(column: str, value: str) -> None:
    _write(4)
    seal()
    _tamper(f"UPDATE audit_auditevent SET {column} = %s WHERE position = 3", value)
    verdict = verify()
    assert (verdict.holding, verdict.broken_at) == (2, 3) and "not what was sealed" in verdict.problem


def test_a_removed_record_is_found() -> None:
    _write(4)
    seal()
    _tamper("DELETE FROM audit_auditevent WHERE position = 2")
    assert verify() == Verdict(1, 2, "record 2 is missing")


def test_a_removed_first_record_is_found() -> None:
    _write(2)
    seal()
    _tamper("DELETE FROM audit_auditevent WHERE position = 1")
    assert verify().broken_at == 1


def test_a_removed_record_is_found_also_when_the_rest_moves_up() -> None:
    _write(4)
    seal()
    _tamper("DELETE FROM audit_auditevent WHERE position = 2")
    _tamper("UPDATE audit_auditevent SET position = position - 1 WHERE position = 3")
    _tamper("UPDATE audit_auditevent SET position = position - 1 WHERE position = 4")
    assert verify().broken_at == 2


def test_reordered_records_are_found() -> None:
    _write(4)
    seal()
    for old, new in ((2, -1), (3, 2), (-1, 3)):
        _tamper("UPDATE audit_auditevent SET position = %s WHERE position = %s", new, old)
    assert verify().broken_at == 2


def test_an_inserted_record_is_found() -> None:
    _write(2)
    seal()
    forged = AuditEvent.objects.get(position=2)
    forged.pk, forged.position, forged._state.adding = None, 3, True
    forged.save()
    assert verify().broken_at == 3


def test_a_chain_goes_on_over_a_change_of_keys_while_the_old_one_is_known(settings: Any) -> None:
    old, new = settings.CALLBOARD_KEYS[0], f"new:{new_key()}"
    _write(2)
    seal()
    settings.CALLBOARD_KEYS = [new, old]
    _write(2)
    seal()
    assert verify() == Verdict(4)
    settings.CALLBOARD_KEYS = [new]
    assert verify().broken_at == 1


def test_a_record_at_the_end_that_is_cut_off_is_the_job_of_checkpoints() -> None:
    """Said in docs/admins/audit.md: the chain alone cannot show that its last record is gone."""
    _write(3)
    seal()
    _tamper("DELETE FROM audit_auditevent WHERE position = 3")
    assert verify() == Verdict(2)


def test_no_code_of_ours_changes_or_removes_a_record() -> None:
    row = _write(1)[0]
    for attempt in (
        lambda: AuditEvent.objects.filter(pk=row.pk).update(actor="x"),
        lambda: AuditEvent.objects.filter(pk=row.pk).delete(),
        lambda: AuditEvent.objects.bulk_update([row], ["actor"]),
        row.save,
        row.delete,
    ):
        with pytest.raises(AppendOnlyError):
            attempt()


def test_only_curators_read_records() -> None:
    _write(1)
    with guarded_reads():
        with pytest.raises(UnscopedReadError):
            AuditEvent.objects.count()
        rows: models.QuerySet[AuditEvent] = visible(
            AuditEvent.objects.all(), Viewer("user:a", user_id=1, is_staff=True)
        )
        assert rows.count() == 1
        assert visible(AuditEvent.objects.all(), Viewer("user:b", user_id=2)).count() == 0
        assert visible(AuditEvent.objects.all(), ANONYMOUS).count() == 0
