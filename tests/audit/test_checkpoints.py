"""Signed checkpoints show what the chain alone cannot: an end that was cut off, a record written anew with the keys."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from portal.audit.models import AuditEvent, Checkpoint
from portal.audit.services import (
    forget_old_records,
    keep_checkpoints,
    make_checkpoint,
    record,
    seal,
    verify,
    write_checkpoints,
)
from portal.audit.services.checkpoints import Statement, read_checkpoints
from portal.core.crypto import keyring, new_key
from portal.core.errors import InputError, NotFoundError
from tests.factories.audit import all_guards_on, guards_off

pytestmark = [pytest.mark.django_db, pytest.mark.req("R123")]


def _write(count: int, days_ago: int = 0) -> None:
    for number in range(count):
        row = record(actor="user:maren", verb="test.thing.done", object_type="test", object_id=str(number))
        if days_ago:
            then = timezone.now() - timedelta(days=days_ago)
            _sql("UPDATE audit_auditevent SET at = %s WHERE id = %s", then, row.pk)


def _sql(sql: str, *values: Any) -> None:
    with guards_off(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def _kept() -> list[tuple[str, Statement]]:
    made = make_checkpoint()
    assert made is not None
    return [("the copy", Statement.of(made))]


def _without_own() -> None:
    _sql("DELETE FROM audit_checkpoint")


def test_a_checkpoint_seals_what_waits_and_agrees() -> None:
    _write(3)
    made = make_checkpoint()
    assert made is not None and made.position == 3 and str(made) == "Checkpoint at 3"
    verdict = verify(checkpoints=[("the copy", Statement.of(made))])
    assert (verdict.holding, verdict.problem, verdict.checkpoints) == (3, "", 2)


def test_of_nothing_there_is_no_checkpoint_and_of_the_same_place_only_one() -> None:
    assert make_checkpoint() is None
    _write(1)
    assert make_checkpoint() == make_checkpoint()
    assert Checkpoint.objects.count() == 1


def test_an_end_that_was_cut_off_is_found_by_the_databases_own_checkpoint() -> None:
    _write(4)
    make_checkpoint()
    _sql("DELETE FROM audit_auditevent WHERE position >= 3")
    verdict = verify()
    assert (verdict.holding, verdict.broken_at) == (2, 3) and "records 3 to 4 were cut off" in verdict.problem


def test_it_is_found_by_the_copy_where_that_went_too() -> None:
    _write(4)
    kept = _kept()
    _without_own()
    _sql("DELETE FROM audit_auditevent WHERE position = 4")
    assert not verify().problem
    assert "the copy" in verify(checkpoints=kept).problem


def test_even_when_everything_is_gone() -> None:
    _write(2)
    kept = _kept()
    _without_own()
    _sql("DELETE FROM audit_auditevent")
    assert verify(checkpoints=kept).broken_at == 1


def test_records_written_anew_with_the_keys_are_found_by_the_copy() -> None:
    _write(4)
    kept = _kept()
    _without_own()
    _sql("DELETE FROM audit_auditevent WHERE position >= 3")
    _write(2)
    seal()
    assert not verify().problem
    verdict = verify(checkpoints=kept)
    assert verdict.broken_at == 4 and "another one than the copy has signed" in verdict.problem


@pytest.mark.parametrize(
    "forged", [{"position": 2}, {"digest": "0" * 64}, {"at": "2026-01-01T00:00:00"}, {"kind": "boundary"}]
)
def test_a_changed_checkpoint_is_found(forged: dict[str, Any]) -> None:
    _write(3)
    place, statement = _kept()[0]
    assert "not signed" in verify(checkpoints=[(place, replace(statement, **forged))]).problem


def test_a_boundary_that_somebody_made_up_is_found() -> None:
    """The database lets records go behind any boundary; that it was nobody's with the keys shows here."""
    _write(4)
    make_checkpoint()
    row = AuditEvent.objects.get(position=2)
    with all_guards_on():
        Checkpoint.objects.create(
            kind="boundary",
            position=2,
            digest=row.digest,
            at=timezone.now(),
            signature=Checkpoint.objects.get().signature,
        )
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM audit_auditevent WHERE position <= 2")
    assert "boundary of the database at 2 is not signed" in verify().problem


def test_a_checkpoint_of_keys_that_are_gone_is_checked_by_their_public_half(settings: Any) -> None:
    _write(2)
    public, old = keyring().public_key(), settings.CALLBOARD_KEYS[0]
    kept = _kept()
    _without_own()
    settings.CALLBOARD_KEYS = [f"other:{new_key()}"]
    assert "not signed" in verify(checkpoints=kept).problem
    settings.CALLBOARD_KEYS = [f"renamed:{old.partition(':')[2]}"]
    assert verify(checkpoints=kept, public_key=public).checkpoints == 1


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_done_to_the_table_is_found(seed: int) -> None:
    """One random change to one column, or a removal, swap, insertion or cut: with a copy each is found."""
    rng = random.Random(seed)
    count = rng.randint(2, 9)
    _write(count)
    kept = _kept()
    if rng.random() < 0.5:
        _without_own()
    here = rng.randint(1, count)
    other = rng.choice([n for n in range(1, count + 1) if n != here])
    text = rng.choice(
        [
            "actor",
            "verb",
            "object_type",
            "object_id",
            "object_name",
            "note",
            "request_id",
            "address",
            "digest",
        ]
    )
    blow = seed % 7
    if blow == 0:
        _sql(f"UPDATE audit_auditevent SET {text} = 'forged' WHERE position = %s", here)
    elif blow == 1:
        _sql("DELETE FROM audit_auditevent WHERE position = %s", here)
    elif blow == 2:
        for old, new in ((here, -1), (other, here), (-1, other)):
            _sql("UPDATE audit_auditevent SET position = %s WHERE position = %s", new, old)
    elif blow == 3:
        _sql("DELETE FROM audit_auditevent WHERE position >= %s", here)
    elif blow == 4:
        _sql("DELETE FROM audit_auditevent WHERE position = %s", here)
        for number in range(here + 1, count + 1):
            _sql("UPDATE audit_auditevent SET position = %s WHERE position = %s", number - 1, number)
    elif blow == 5:
        column = rng.choice(["before", "after"])
        _sql(f"UPDATE audit_auditevent SET {column} = '{{\"a\": 1}}' WHERE position = %s", here)
    else:
        forged = AuditEvent.objects.get(position=here)
        forged.pk, forged.position, forged._state.adding = None, count + 1, True
        forged.save()
    assert verify(checkpoints=kept).problem


# ---------------------------------------------------------------------------------------------------------- copies


def test_each_copy_is_a_file_of_its_own_and_is_written_once(settings: Any, tmp_path: Path) -> None:
    settings.CALLBOARD_AUDIT_CHECKPOINTS = tmp_path / "new"
    _write(2)
    make_checkpoint()
    assert (write_checkpoints(), write_checkpoints()) == (1, 0)
    _write(1)
    make_checkpoint()
    assert write_checkpoints() == 1
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["checkpoint-000000000002.jsonl", "checkpoint-000000000003.jsonl"]
    assert verify(checkpoints=read_checkpoints(tmp_path / "new")).checkpoints == 4


def test_without_a_folder_copies_wait_for_one(settings: Any, tmp_path: Path) -> None:
    _write(1)
    make_checkpoint()
    assert write_checkpoints() == 0
    settings.CALLBOARD_AUDIT_CHECKPOINTS = tmp_path
    assert write_checkpoints() == 1


def test_the_scheduler_makes_one_an_hour_however_often_it_looks() -> None:
    for _ in range(3):
        _write(1)
        keep_checkpoints()
    assert Checkpoint.objects.count() == 1
    _sql("UPDATE audit_checkpoint SET at = %s", timezone.now() - timedelta(hours=1))
    keep_checkpoints()
    assert Checkpoint.objects.count() == 2


@pytest.mark.parametrize(
    "text", ["x", "[]", "{}", '{"kind": 1, "position": 1, "digest": "", "at": "", "signature": ""}']
)
def test_a_line_that_is_no_checkpoint_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    file.write_text(f"\n{text}\n")
    with pytest.raises(InputError, match=r"kept\.jsonl line 2"):
        list(read_checkpoints(file))


def test_an_empty_folder_proves_nothing_and_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.jsonl"):
        with pytest.raises(NotFoundError):
            list(read_checkpoints(path))


def test_the_commands_sign_keep_and_verify(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        out = io.StringIO()
        call_command("audit", *arguments, stdout=out)
        return out.getvalue()

    with pytest.raises(CommandError, match="no audit record"):
        run("checkpoint")
    _write(2)
    file = tmp_path / "kept.jsonl"
    file.write_text(run("checkpoint"))
    key = json.loads(run("key", "--json"))["key"]
    with all_guards_on():
        found = json.loads(run("verify", "--json", "--checkpoints", str(file), "--public-key", key))
    assert (found["holding"], found["checkpoints"], found["guards_missing"]) == (2, 2, [])
    _without_own()
    _sql("DELETE FROM audit_auditevent WHERE position = 2")
    with pytest.raises(CommandError, match=r"cut off: kept\.jsonl line 1"):
        run("verify", "--checkpoints", str(file))


# ------------------------------------------------------------------------------------------------------- retention


def test_by_default_records_are_kept_for_ever() -> None:
    _write(2, days_ago=9_000)
    seal()
    assert forget_old_records() == 0 and AuditEvent.objects.count() == 2


def test_old_records_go_behind_a_signed_boundary_and_the_rest_holds(settings: Any) -> None:
    settings.CALLBOARD_AUDIT_DAYS = 30
    _write(3, days_ago=40)
    _write(2)
    kept = _kept()
    with all_guards_on():
        assert forget_old_records() == 3
        assert forget_old_records() == 0
    seal()
    verdict = verify(checkpoints=kept)
    assert (verdict.holding, verdict.boundary, verdict.problem) == (3, 3, "")
    assert AuditEvent.objects.get(verb="audit.records.removed").after == {"up_to": 3, "older_than_days": 30}
    _sql("DELETE FROM audit_auditevent WHERE position = 4")
    assert verify().broken_at == 4


def test_a_boundary_moves_on_and_the_one_before_cannot_be_put_in_its_place(settings: Any) -> None:
    settings.CALLBOARD_AUDIT_DAYS = 30
    _write(2, days_ago=50)
    _write(2, days_ago=35)
    _write(1)
    seal()
    settings.CALLBOARD_AUDIT_DAYS = 45
    assert forget_old_records() == 2
    settings.CALLBOARD_AUDIT_DAYS = 30
    assert forget_old_records() == 2
    seal()
    assert verify().boundary == 4 and not verify().problem
    _sql("DELETE FROM audit_checkpoint WHERE position = 4")
    assert verify().broken_at == 3


def test_records_between_recent_ones_and_those_that_wait_stay(settings: Any) -> None:
    """Only a whole beginning of the chain goes: an old time after a recent one (a long transaction) waits its turn."""
    settings.CALLBOARD_AUDIT_DAYS = 30
    _write(1)
    _write(1, days_ago=40)
    seal()
    _write(1, days_ago=40)
    assert forget_old_records() == 0 and AuditEvent.objects.count() == 3


def test_who_dies_between_boundary_and_removal_leaves_what_the_next_run_takes(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CALLBOARD_AUDIT_DAYS = 30
    _write(3, days_ago=40)
    _write(1)
    seal()
    with monkeypatch.context() as patch:
        patch.setattr("portal.audit.services.retention.BATCH", 0)
        assert forget_old_records() == 0
    seal()
    assert AuditEvent.objects.count() == 5 and not verify().problem
    monkeypatch.setattr("portal.audit.services.retention.BATCH", 2)
    assert forget_old_records() == 3 and not verify().problem
