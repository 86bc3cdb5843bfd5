from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis

from tests.services import __main__ as runner
from tests.services import selection


class Item:
    """As much of a pytest item as selection looks at."""

    def __init__(self, *markers: pytest.MarkDecorator) -> None:
        self.nodeid = "tests/x.py::test_x"
        self.markers = [marker.mark for marker in markers]

    def iter_markers(self, name: str) -> list[pytest.Mark]:
        return [mark for mark in self.markers if mark.name == name]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next(iter(self.iter_markers(name)), None)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PROGRAMS", dict.fromkeys(selection.PROGRAMS, lambda: None))
    monkeypatch.setattr(selection, "shared_folder", lambda: None)
    monkeypatch.delenv("CALLBOARD_REQUIRE_SERVICES", raising=False)


def reason(*markers: pytest.MarkDecorator, slow: bool = False) -> str:
    item: Any = Item(*markers)
    return selection.reason_to_leave_out(item, slow=slow)


def test_an_ordinary_test_always_runs(nothing_installed: None) -> None:
    assert reason() == ""


def test_what_is_missing_is_the_reason(nothing_installed: None) -> None:
    assert reason(pytest.mark.services("redis", "postgresql")) == "redis, postgresql not installed"
    assert reason(pytest.mark.browser) == "chromium not installed"
    assert reason(pytest.mark.shared) == "shared data not found (set CALLBOARD_SHARED)"


def test_what_is_there_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PROGRAMS", dict.fromkeys(selection.PROGRAMS, lambda: "/usr/bin/x"))
    assert reason(pytest.mark.services("redis"), pytest.mark.browser) == ""


def test_required_services_are_not_left_out_but_fail(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_REQUIRE_SERVICES", "1")
    item: Any = Item(pytest.mark.services("redis"))
    assert selection.reason_to_leave_out(item, slow=False) == ""
    assert selection.missing_programs(item) == ["redis"], "which pytest_runtest_setup turns into a failure"


@pytest.mark.parametrize("required", ["0", "1"])
def test_a_service_that_nobody_knows_is_a_mistake(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv("CALLBOARD_REQUIRE_SERVICES", required)
    with pytest.raises(pytest.UsageError, match="mongodb"):
        reason(pytest.mark.services("mongodb"))


def test_slow_tests_run_when_asked_for() -> None:
    assert reason(pytest.mark.slow) == "slow (run with --slow)"
    assert reason(pytest.mark.slow, slow=True) == ""


def test_a_test_about_another_database_waits_for_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "engine_in_use", lambda: "sqlite")
    assert reason(pytest.mark.database("postgresql")) == "about postgresql only"
    assert reason(pytest.mark.database("sqlite")) == ""


def test_the_summary_counts_what_was_left_out(nothing_installed: None) -> None:
    items: list[Any] = [Item(), Item(pytest.mark.slow), Item(pytest.mark.slow), Item(pytest.mark.browser)]
    run, left_out, reasons = selection.split(items, slow=False)
    assert (run, left_out) == (items[:1], items[1:])
    assert reasons == {"slow (run with --slow)": 2, "chromium not installed": 1}


@pytest.mark.parametrize(("required", "status"), [("0", 0), ("1", 1)])
def test_the_second_run_is_left_out_or_fails_where_services_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], required: str, status: int
) -> None:
    monkeypatch.setattr(runner, "redis_program", lambda: None)
    monkeypatch.setattr(runner, "postgresql_folder", lambda: "/usr/bin")
    monkeypatch.setattr(runner, "subprocess", SimpleNamespace(run=pytest.fail))
    monkeypatch.setenv("CALLBOARD_REQUIRE_SERVICES", required)
    assert runner.main(["pytest"]) == status
    assert "redis-server not installed" in capsys.readouterr().out


def test_a_command_that_may_runs_without_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(runner, "redis_program", lambda: None)
    monkeypatch.setattr(
        runner, "subprocess", SimpleNamespace(run=lambda command, **_: ran.append(command) or Done)
    )
    monkeypatch.delenv("CALLBOARD_REQUIRE_SERVICES", raising=False)

    class Done:
        returncode = 3

    assert runner.main(["--or-embedded", "bench"]) == 3
    assert ran == [["bench"]]


@pytest.mark.services("postgresql", "redis")
def test_the_servers_are_real(postgresql_url: str, redis_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        order = connection.execute(
            "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['b','A','a','B']) t"
        )
        assert order.fetchone() == ("ABab",), "text sorts by code point"
    assert redis.Redis.from_url(redis_url).ping()
