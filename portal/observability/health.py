"""``/health/live`` and ``/health/ready``: for supervisors and load balancers, without sign-in.

*Live* says that the process answers; restart it when it does not. *Ready* says that it can do its work; send it no
requests while it cannot. The answers name what is wrong but no host, user or error text: those go to the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import redis
import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

log = structlog.get_logger(__name__)

OK = "ok"
#: Seconds that the broker may take to answer.
BROKER_SECONDS = 1.0

_all_applied = False


@login_not_required
@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process can answer at all."""
    return JsonResponse({"status": OK})


@login_not_required
@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when database, migrations and broker are as they should be, else 503 with one word for each."""
    found = {name: check() for name, check in CHECKS.items()}
    good = all(word == OK for word in found.values())
    return JsonResponse(
        {"status": OK if good else "unavailable", "checks": found}, status=200 if good else 503
    )


def database() -> str:
    """Whether the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.warning("not ready", check="database", error=str(error))
        return "unreachable"
    return OK


def migrations() -> str:
    """Whether the tables are those of this code. Once they are, this process does not look again."""
    global _all_applied  # one fact per process that only ever becomes true
    if _all_applied:
        return OK
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        log.warning("not ready", check="migrations", error=str(error))
        return "unknown"
    if plan:
        log.warning("not ready", check="migrations", first=str(plan[0][0]), count=len(plan))
        return f"{len(plan)} to apply"
    _all_applied = True
    return OK


def broker() -> str:
    """Whether a doorbell could be rung: Redis answers, or the folder of the embedded broker can be written."""
    url = settings.CELERY_BROKER_URL
    try:
        if url.startswith(("redis://", "rediss://", "unix://")):
            _redis(url).ping()
        else:
            folder = Path(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"]))
            existing = next(f for f in (folder, *folder.parents) if f.exists())
            if not existing.is_dir() or not os.access(existing, os.W_OK):
                raise PermissionError(f"{existing} is no folder that can be written")
    except (redis.RedisError, OSError) as error:
        log.warning("not ready", check="broker", error=str(error))
        return "unreachable"
    return OK


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS)


CHECKS: dict[str, Callable[[], str]] = {"database": database, "migrations": migrations, "broker": broker}
