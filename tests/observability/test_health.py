from __future__ import annotations

from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test import Client

from portal.observability import health


@pytest.fixture(autouse=True)
def _look_at_migrations_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_all_applied", False)


def test_live_answers_without_sign_in_and_without_a_query(
    client: Client, django_assert_num_queries, db
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


def test_ready_names_all_that_it_looked_at(client: Client, db) -> None:
    answer = client.get("/health/ready")
    assert answer.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "broker": "ok"}}
    assert answer.status_code == 200


def test_migrations_are_looked_at_once(client: Client, db, django_assert_num_queries) -> None:
    client.get("/health/ready")
    with django_assert_num_queries(1):
        client.get("/health/ready")


def test_a_database_that_does_not_answer_is_named_without_its_address(
    client: Client, db, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection to db.internal refused for user callboard")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refuse)
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "unreachable"
    assert "db.internal" not in answer.text


def test_a_migration_that_is_missing_is_counted(client: Client, db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda *_: [("catalog.0002", False)])
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (503, "1 to apply")


def test_a_redis_that_is_gone_is_named(client: Client, db, settings) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (503, "unreachable")


@pytest.mark.services("redis")
def test_a_redis_that_answers_is_fine(client: Client, db, settings, redis_url: str) -> None:
    settings.CELERY_BROKER_URL = redis_url
    assert client.get("/health/ready").json()["checks"]["broker"] == "ok"


def test_a_broker_folder_below_a_file_is_named(client: Client, db, settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "file" / "queue")}
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (503, "unreachable")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_takes_reads_only(client: Client, db, path: str) -> None:
    assert client.post(path).status_code == 405
