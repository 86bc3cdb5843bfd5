"""What every test may use, and which tests run here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from tests.services import examples, selection, servers

hypothesis_settings.register_profile(examples.ALL)
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the long matrices too, as CI does")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    run, left_out, reasons = selection.split(items, slow=config.getoption("--slow"))
    config.stash[_LEFT_OUT] = reasons
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = run


def pytest_runtest_setup(item: pytest.Item) -> None:
    if missing := selection.missing_programs(item):  # only where services are required; else it was left out
        pytest.fail(
            f"{', '.join(missing)} not installed, and CALLBOARD_REQUIRE_SERVICES=1 asks for it", pytrace=False
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # there in the processes of a parallel run
    if output is not None:
        output["left_out"] = dict(session.config.stash[_LEFT_OUT])


class _Gather:
    """Brings what the processes of a parallel run left out to the one that prints; all of them collect the same."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.config.stash[_LEFT_OUT] |= Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_Gather(session.config))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason, count in sorted(config.stash[_LEFT_OUT].items()):
        terminalreporter.write_line(f"left out {count} test{'s' * (count != 1)}: {reason}")
    terminalreporter.write_line(selection.describe_services())


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, made by migrations; tests with real transactions are cleared away the short way.

    SQLite empties tables by DELETE, which the audit table refuses; the tests of its guards put that one back.
    """
    from django.db import connection

    from portal.audit import guards
    from tests.services.emptying import quick_emptying  # not before the apps are there

    with django_db_blocker.unblock():
        assert not guards.missing(connection), "the migrations leave the audit table unguarded"
        if connection.vendor == "sqlite":
            guards.remove(connection, guards.DELETE)
    with quick_emptying():
        yield


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with ``corpus/``, ``conformance/`` and ``reference/``; mark such tests ``shared``."""
    folder = selection.shared_folder()
    if folder is None:
        pytest.fail("A test that uses shared_dir must be marked @pytest.mark.shared.", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """URL of an empty database in a PostgreSQL of this session's own; mark such tests ``services("postgresql")``."""
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a Redis of this session's own; mark such tests ``services("redis")``."""
    with servers.redis_server() as url:
        yield url
