"""Deadlines, last values and hanging extensions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError

from portal.access.viewer import ANONYMOUS, Viewer
from portal.core.errors import ConflictError, InputError, NotFoundError
from portal.plugins import producing
from portal.plugins.models import ExtensionState
from portal.plugins.points import Extension, HomeCard
from portal.plugins.producing import MOST_AT_ONCE, Produced, applies, produce
from portal.plugins.registry import LoadedPlugin, Registry
from portal.plugins.registry import registry as the_registry
from portal.plugins.services import switch_extension


def card(key: str = "card", **values: Any) -> HomeCard:
    return HomeCard(
        **{
            "key": key,
            "title": key,
            "owner": "tests",
            "template": "t.html",
            "context": lambda viewer: {},
            **values,
        }
    )


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    producing.forget_values()
    yield
    deadline = time.monotonic() + 5
    while any(producing._running.values()) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_without_a_deadline_it_runs_at_once_in_the_same_thread() -> None:
    made = produce(card(), lambda: {"thread": threading.get_ident()})
    assert made == Produced({"thread": threading.get_ident()})


def test_within_the_deadline_the_fresh_value_is_shown() -> None:
    assert produce(card(deadline=5.0), lambda: {"n": 1}) == Produced({"n": 1})


def test_a_late_one_shows_nothing_the_first_time_and_its_value_the_next() -> None:
    go = threading.Event()

    def slow() -> dict[str, int]:
        go.wait(5)
        return {"n": 1}

    late = card("late", deadline=0.05)
    first = produce(late, slow)
    assert first.value is None and first.problem == "took longer than 0.05 s"
    go.set()
    for _ in range(100):
        if not producing._running["home_card:late"]:
            break
        time.sleep(0.02)
    go.clear()
    second = produce(late, slow)
    go.set()
    assert second.value == {"n": 1} and 0 < second.age < 5 and second.problem


def test_one_that_raises_shows_its_last_value() -> None:
    flaky = card("flaky", deadline=1.0)
    produce(flaky, lambda: {"n": 1}, subject="a")

    def broken() -> dict[str, int]:
        raise ValueError

    assert (produce(flaky, broken, subject="a").value, produce(flaky, broken, subject="b").value) == (
        {"n": 1},
        None,
    )
    assert produce(card("inline"), broken) == Produced(None, 0.0, "failed")


def test_last_values_of_two_viewers_are_never_mixed_up() -> None:
    private = card("private", deadline=0.1)
    produce(private, lambda: {"for": "maren"}, subject="shop maren")
    stop = threading.Event()
    assert produce(private, lambda: stop.wait(2) and None, subject="shop ines").value is None
    stop.set()


def test_a_hanging_extension_does_not_take_the_threads_of_others() -> None:
    stop = threading.Event()
    hanging = card("hanging", deadline=0.01)
    problems = [produce(hanging, lambda: stop.wait(20) and {}).problem for _ in range(MOST_AT_ONCE + 3)]
    assert problems[:MOST_AT_ONCE] == ["took longer than 0.01 s"] * MOST_AT_ONCE
    assert set(problems[MOST_AT_ONCE:]) == {"is still busy with earlier requests"}
    assert produce(card("other", deadline=1.0), lambda: {"n": 1}).value == {"n": 1}
    stop.set()


def test_memory_for_last_values_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producing, "MOST_REMEMBERED", 3)
    for n in range(6):
        produce(card("many", deadline=1.0), lambda n=n: {"n": n}, subject=str(n))  # type: ignore[misc]  # a default binds
    assert [subject for _, subject in producing._last] == ["3", "4", "5"]


def test_a_condition_that_raises_means_no() -> None:
    class Conditional(HomeCard):
        def applies(self, *_: Any) -> bool:
            raise RuntimeError

    assert not applies(
        Conditional(key="x", title="x", owner="x", template="x", context=lambda viewer: {}), "subject"
    )


# ------------------------------------------------------------------------------------------------------------- registry


def test_a_key_is_taken_once_and_has_to_be_plain() -> None:
    registry = Registry()
    registry.register(card("one"))
    with pytest.raises(ConflictError, match=r"home_card:one is registered by tests already"):
        registry.register(card("one"))
    for key in ("", "Upper", "with space", "ünicode", "-first", "x" * 80, "../x"):
        with pytest.raises(InputError):
            registry.register(card(key))

    class Unknown(Extension):
        point = "no_such_point"

    with pytest.raises(InputError, match="no extension point"):
        registry.register(Unknown(key="x", title="x", owner="x"))


@pytest.mark.django_db
def test_extensions_come_in_order_and_for_those_who_may() -> None:
    registry = Registry()
    for key, order, permission in (("b", 1, ""), ("a", 1, "curate"), ("c", 0, "view")):
        registry.register(card(key, order=order, permission=permission))
    keys = [e.key for e in registry.active(HomeCard)]
    assert keys == ["c", "a", "b"]
    member = Viewer("user:member", user_id=1)
    assert [e.key for e in registry.active(HomeCard, member)] == ["c", "b"]
    assert [e.key for e in registry.active(HomeCard, ANONYMOUS)] == ["b"]


@pytest.mark.django_db
def test_the_switches_cost_one_statement_a_second(django_assert_num_queries: Any) -> None:
    registry = Registry()
    registry.register(card("one"))
    with django_assert_num_queries(1):
        for _ in range(50):
            registry.active(HomeCard)


@pytest.mark.django_db
def test_a_database_that_is_away_keeps_the_switches_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    registry.register(card("one"))
    ExtensionState.objects.create(key="home_card:one", enabled=False, changed_by="test")
    assert registry.active(HomeCard) == []

    def away(*_: Any, **__: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(type(ExtensionState.objects.all()), "values_list", away)
    registry._read_at -= 10
    assert registry.active(HomeCard) == []


@pytest.mark.django_db
def test_a_switch_is_set_for_what_is_registered_only() -> None:
    state = switch_extension(actor="user:admin", key="home_card:kinds", enabled=False)
    assert (state.enabled, state.changed_by) == (False, "user:admin")
    switch_extension(actor="user:admin", key="home_card:kinds", enabled=True)
    assert ExtensionState.objects.get().enabled
    switch_extension(actor="user:admin", key="plugin:catalog", enabled=True)
    with pytest.raises(NotFoundError):
        switch_extension(actor="user:admin", key="home_card:nobody", enabled=False)
    assert LoadedPlugin("x", entry="x").switch == "plugin:x" and the_registry.knows("plugin:catalog")
