"""The outbox: nothing that was committed is lost, nothing that was not appears, readers never skip a row."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from portal.access.viewer import ANONYMOUS, Viewer
from portal.audit.models import AuditEvent
from portal.audit.services import record, verify
from portal.audit.services import seal as seal_audit
from portal.events.models import Event
from portal.events.selectors import events_after
from portal.events.services import publish, seal

pytestmark = pytest.mark.django_db
MEMBER = Viewer("user:member", user_id=1)


def _publish(*subjects: str) -> None:
    publish(events=[("tests.happened", subject, {"s": subject}) for subject in subjects])


def _read(position: int = 0, limit: int = 200) -> list[tuple[int | None, str]]:
    return [(event.position, event.subject) for event in events_after(MEMBER, position, limit)]


def test_events_appear_once_they_are_sealed_and_in_order() -> None:
    _publish("a", "b")
    assert _read() == []
    assert seal() == 2 and seal() == 0
    _publish("c")
    seal()
    assert _read() == [(1, "a"), (2, "b"), (3, "c")]
    assert _read(1, limit=1) == [(2, "b")]
    assert events_after(ANONYMOUS, 0) == []


def test_events_of_a_transaction_that_is_rolled_back_never_appear() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        _publish("a")
        raise RuntimeError
    _publish("b")
    seal()
    assert _read() == [(1, "b")]


def test_nothing_to_seal_takes_one_statement(django_assert_num_queries: Any) -> None:
    _publish("a")
    seal()
    with django_assert_num_queries(1):
        assert seal() == 0


def test_thousands_of_events_are_sealed_well_within_a_second() -> None:
    publish(events=[("tests.happened", str(n), {}) for n in range(10_000)])
    started = time.perf_counter()
    assert seal() == 10_000
    assert time.perf_counter() - started < 1.0
    rows = Event.objects.order_by("position").values_list("position", "subject")
    assert list(rows) == [(n + 1, str(n)) for n in range(10_000)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("held_open", [1.0, pytest.param(5.0, marks=pytest.mark.slow)])
def test_a_transaction_that_stays_open_loses_nothing_and_blocks_nobody(held_open: float) -> None:
    """One transaction stays open while others commit. Their rows have lower and higher keys than its own.

    On SQLite nobody else can write meanwhile, so there it shows that readers and the sealer go on.
    """
    writes_meanwhile = connection.vendor != "sqlite"
    opened, enough, slowest = threading.Event(), threading.Event(), 0.0

    def stay_open() -> None:
        with transaction.atomic():
            _publish("late 1")
            record(actor="late", verb="tests.happened")
            opened.set()
            time.sleep(held_open)
            enough.wait(30)
            _publish("late 2")
        connection.close()

    _publish("before")
    holder = threading.Thread(target=stay_open)
    holder.start()
    opened.wait(5)
    seen: list[tuple[int | None, str]] = []
    number = 0
    if not writes_meanwhile:
        enough.set()
    while holder.is_alive():
        started = time.perf_counter()
        if writes_meanwhile:
            _publish(f"meanwhile {number}")
            record(actor="meanwhile", verb="tests.happened")
            number += 1
            if number > 20:
                enough.set()
            seal()
            seal_audit()
        seen += _read(seen[-1][0] or 0 if seen else 0)
        slowest = max(slowest, time.perf_counter() - started)
        time.sleep(0.05)
    holder.join()
    seal()
    seal_audit()
    seen += _read(seen[-1][0] or 0 if seen else 0)
    assert [position for position, _ in seen] == list(range(1, number + 4)), "no gap, and nothing read twice"
    subjects = [subject for _, subject in seen]
    own, late = (
        [s for s in subjects if not s.startswith("late")],
        [s for s in subjects if s.startswith("late")],
    )
    assert own == ["before", *(f"meanwhile {n}" for n in range(number))]
    assert late == ["late 1", "late 2"]
    assert subjects.index("late 1") >= number - 1, "after what was committed before it, whatever its key"
    assert slowest < 1.0, "nobody waited for the open transaction"
    assert verify().broken_at is None
    assert AuditEvent.objects.filter(position__isnull=False).count() == number + 1
    assert number > 20 or not writes_meanwhile


@pytest.mark.django_db(transaction=True)
def test_many_writers_and_two_sealers_make_one_order_without_gaps() -> None:
    stop = threading.Event()

    def keep_sealing() -> int:
        sealed = 0
        while not stop.is_set():
            sealed += seal() + seal_audit() * 0
            time.sleep(0.01)
        connection.close()
        return sealed

    def write(writer: int) -> None:
        for n in range(25):
            with transaction.atomic():
                _publish(f"{writer}:{n}")
                record(actor=str(writer), verb="tests.happened", object_id=str(n))
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        sealers = [pool.submit(keep_sealing) for _ in range(2)]
        list(pool.map(write, range(4)))
        stop.set()
        sealed = sum(future.result() for future in sealers)
    sealed += seal()
    seal_audit()
    assert sealed == 100
    rows = list(Event.objects.order_by("position").values_list("position", "subject"))
    assert [position for position, _ in rows] == list(range(1, 101))
    for writer in range(4):
        own = [subject for _, subject in rows if subject.startswith(f"{writer}:")]
        assert own == [f"{writer}:{n}" for n in range(25)], "each writer's own order is kept"
    assert (verify().holding, verify().broken_at) == (100, None)
