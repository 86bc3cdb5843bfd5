"""Which tests can run here. What is left out is never silent: the summary names it with its reason."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.services.servers import postgresql_folder, redis_program
from tests.services.ssh_server import sshd_program

ROOT = Path(__file__).resolve().parents[2]


def shared_folder() -> Path | None:
    """The shared corpus and conformance kit, or None where this machine has none."""
    folder = Path(os.environ.get("CALLBOARD_SHARED") or ROOT.parent / "shared")
    return folder if (folder / "corpus").is_dir() else None


def chromium_program() -> str | None:
    """A Chromium or Chrome of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _npm_packages() -> Path | None:
    stamp = ROOT / "node_modules" / ".package-lock.json"
    return stamp if stamp.exists() else None


#: What ``@pytest.mark.services`` may name -> where it is, or None.
PROGRAMS: dict[str, Callable[[], object]] = {
    "postgresql": postgresql_folder,
    "redis": redis_program,
    "graphviz": lambda: shutil.which("dot"),
    "npm": _npm_packages,
    "tracing": lambda: importlib.util.find_spec("opentelemetry"),
    "chromium": chromium_program,
    "sshd": sshd_program,
}


def services_required() -> bool:
    """Whether a missing program fails the tests that need it, as in CI."""
    return os.environ.get("CALLBOARD_REQUIRE_SERVICES") == "1"


def missing_programs(item: pytest.Item) -> list[str]:
    """Names of the programs that this test needs and the machine lacks.

    Raises:
        pytest.UsageError: the test names a program that is not in ``PROGRAMS``.
    """
    names = [name for marker in item.iter_markers("services") for name in marker.args]
    if item.get_closest_marker("browser"):
        names.append("chromium")
    if unknown := set(names) - set(PROGRAMS):
        raise pytest.UsageError(
            f"{item.nodeid}: unknown service {sorted(unknown)}; known: {sorted(PROGRAMS)}"
        )
    return [name for name in dict.fromkeys(names) if PROGRAMS[name]() is None]


def engine_in_use() -> str:
    """``postgresql`` or ``sqlite``: what the default database of this run is."""
    from django.conf import settings  # not before pytest-django has chosen the settings

    return "postgresql" if settings.DATABASES["default"]["ENGINE"].endswith("postgresql") else "sqlite"


def reason_to_leave_out(item: pytest.Item, *, slow: bool) -> str:
    """Why this test cannot or should not run here; empty when it runs."""
    if item.get_closest_marker("shared") and shared_folder() is None:
        return "shared data not found (set CALLBOARD_SHARED)"
    if item.get_closest_marker("slow") and not slow:
        return "slow (run with --slow)"
    if (marker := item.get_closest_marker("database")) and marker.args[0] != engine_in_use():
        return f"about {marker.args[0]} only"
    if (missing := missing_programs(item)) and not services_required():
        return f"{', '.join(missing)} not installed"
    return ""


def split(
    items: Iterable[pytest.Item], *, slow: bool
) -> tuple[list[pytest.Item], list[pytest.Item], Counter[str]]:
    """The tests that run, those that do not, and how many for which reason."""
    run: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    reasons: Counter[str] = Counter()
    for item in items:
        if reason := reason_to_leave_out(item, slow=slow):
            left_out.append(item)
            reasons[reason] += 1
        else:
            run.append(item)
    return run, left_out, reasons


def describe_services() -> str:
    """One line on what this run stands on, for the end of the summary."""
    from django.conf import settings  # not before pytest-django has chosen the settings

    if engine_in_use() == "postgresql":
        import psycopg  # only where it is used

        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            number = connection.info.server_version
        database = f"PostgreSQL {number // 10000}.{number % 10000}"
    else:
        import sqlite3  # only where it is used

        database = f"SQLite {sqlite3.sqlite_version}"
    broker = "Redis" if settings.REDIS_URL else "embedded broker (folder)"
    return f"database: {database}; broker and cache: {broker if settings.REDIS_URL else broker + ', process memory'}"
