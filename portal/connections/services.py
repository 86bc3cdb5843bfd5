"""Every write of connections, the breaker that spares a host that fails, and the check of one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.connections.credentials import check_reference
from portal.connections.hosts import PURPOSES, below, place_of
from portal.connections.models import Connection
from portal.connections.selectors import host_config
from portal.core.egress import normal_host
from portal.core.errors import (
    CallboardError,
    ConflictError,
    InputError,
    NotFoundError,
    ServiceUnavailableError,
)
from portal.core.http import Client

REASON = "the row that is written"
OPENS_AFTER = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
PROBE = timedelta(seconds=30)
OK_NOTED_EVERY = timedelta(minutes=1)
HIGHEST_RATE = 60_000
# A host that asks for more is asked again after this.
LONGEST_HOLD = timedelta(hours=1)
CHECK_SECONDS = 10.0
FIELDS = (
    "name",
    "kind",
    "host",
    "base_url",
    "api_url",
    "read_over",
    "allowed_prefixes",
    "purposes",
    "username",
    "credential",
    "allow_private",
    "rate_per_minute",
    "enabled",
)
# What the API of each kind answers without rights of any sort, below its api_url.
_CHECK_PATHS = {
    "github": "/rate_limit",
    "gitlab": "/projects?per_page=1",
    "bitbucket": "/repositories?pagelen=1",
    "bitbucket-server": "/application-properties",
    "gitea": "/version",
    "gerrit": "/config/server/version",
}


def clean_connection(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the form in which they are stored; only those given.

    Raises:
        InputError: host, prefix, purpose or credential reference cannot be used; ``details["field"]`` names which.
    """
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise InputError(f"A connection has no {', '.join(unknown)}.", code="connections.field")
    clean = dict(values)
    if "host" in clean:
        clean["host"] = _clean_host(str(clean["host"]))
    for name in ("base_url", "api_url"):
        if clean.get(name):
            clean[name] = _clean_address(name, str(clean[name]))
    if "allowed_prefixes" in clean:
        clean["allowed_prefixes"] = _clean_prefixes(clean["allowed_prefixes"])
    if "purposes" in clean:
        wanted = clean["purposes"]
        if not isinstance(wanted, list | tuple) or not set(wanted) <= set(PURPOSES):
            raise _unfit(
                "purposes", f"Purposes are some of {', '.join(PURPOSES)}.", "Name at least one, such as read."
            )
        clean["purposes"] = [purpose for purpose in PURPOSES if purpose in wanted]
    rate = clean.get("rate_per_minute", 0)
    if not isinstance(rate, int) or not 0 <= rate <= HIGHEST_RATE:
        raise _unfit(
            "rate_per_minute", f"{rate!r} is not a number of calls a minute.", f"Write 0 to {HIGHEST_RATE}."
        )
    if clean.get("credential"):
        try:
            check_reference(str(clean["credential"]))
        except InputError as error:
            error.details["field"] = "credential"
            raise
    return clean


def _unfit(field: str, message: str, remedy: str) -> InputError:
    return InputError(message, code=f"connections.{field}", remedy=remedy, details={"field": field})


def _clean_host(text: str) -> str:
    host, colon, port = (
        text.strip().rpartition(":") if not text.strip().endswith("]") else (text.strip(), "", "")
    )
    if not colon:
        host, port = text.strip(), ""
    try:
        host = normal_host(host)
    except InputError as error:
        raise _unfit(
            "host", error.message, "Write the name alone, such as git.acme.example or git.acme.example:8443."
        ) from error
    if colon and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise _unfit("host", f"{port!r} is not a port.", "Ports are 1 to 65535.")
    return f"{host}:{int(port)}" if colon and int(port) != 443 else host


def _clean_address(name: str, text: str) -> str:
    host, _ = place_of(text)
    if not host or not text.lower().startswith(("https://", "http://")) or "@" in text:
        raise _unfit(
            name, f"{text[:100]} is not an address.", "Write https://HOST/PATH, without user and password."
        )
    return text.rstrip("/")


def _clean_prefixes(values: Any) -> list[str]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise _unfit(
            "allowed_prefixes",
            "Prefixes are a list of paths.",
            'Write them as ["/acme", "/acme-labs/tools"].',
        )
    clean: list[str] = []
    for value in values:
        path = "/" + value.strip().strip("/")
        if (
            path == "/"
            or {".", "..", ""} & set(path[1:].split("/"))
            or "%" in path
            or "?" in path
            or "://" in value
        ):
            raise _unfit(
                "allowed_prefixes",
                f"{value!r} is not a path below the host.",
                'Write the path alone, such as "/acme".',
            )
        clean.append(path)
    return [
        path
        for path in dict.fromkeys(clean)
        if not any(below(path, other) for other in clean if other != path)
    ]


@transaction.atomic
def save_connection(*, actor: Viewer, connection: Connection | None = None, **values: Any) -> Connection:
    """Create a connection, or change the given fields of one.

    Raises:
        InputError: a value cannot be used.
        ConflictError: another connection has the name.
        NotFoundError: the connection to change is gone.
    """
    values = clean_connection(values)
    stored = None
    if connection is not None:
        stored = Connection.objects.unrestricted(REASON).filter(pk=connection.pk).first()
        if stored is None:
            raise NotFoundError(
                f"There is no connection {connection.name} any more.", code="connections.gone"
            )
    elif not values.get("name") or not values.get("host"):
        raise InputError("A connection needs a name and a host.", code="connections.incomplete")
    row = stored or Connection()
    before = {field: getattr(row, field) for field in values if getattr(row, field) != values[field]}
    if stored is not None and not before:
        return stored
    for field, value in values.items():
        setattr(row, field, value)
    if stored is not None and {"host", "base_url", "api_url", "credential", "username"} & before.keys():
        row.failures, row.open_until, row.last_error = 0, None, ""  # what failed was something else
    if {"host", "base_url", "api_url", "credential", "rate_per_minute"} & before.keys():
        row.next_call_at = None
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise ConflictError(
            f"There is already a connection named {row.name}.",
            code="connections.name",
            remedy="Choose another name.",
        ) from error
    after = {field: values[field] for field in (before if stored else values)}
    verb = f"connections.connection.{'changed' if stored else 'created'}"
    record(actor=actor.actor, verb=verb, target=row, before=before if stored else None, after=after)
    return row


@transaction.atomic
def delete_connection(*, actor: Viewer, connection: Connection) -> None:
    """Remove a connection; what it was used for is read without a credential from now on.

    Raises:
        NotFoundError: it is gone already.
    """
    stored = Connection.objects.unrestricted(REASON).filter(pk=connection.pk).first()
    if stored is None or not Connection.objects.unrestricted(REASON).filter(pk=connection.pk).delete()[0]:
        raise NotFoundError(f"There is no connection {connection.name} any more.", code="connections.gone")
    before = {field: getattr(stored, field) for field in FIELDS}
    record(actor=actor.actor, verb="connections.connection.deleted", target=stored, before=before)


def let_through(*, connection: Connection) -> bool:
    """Whether a call may go out now.

    While the breaker is open nothing may. Once its pause is over exactly one caller is let through to see (decided by
    compare-and-set); its success closes the breaker, its failure opens it for longer.
    """
    now = timezone.now()
    if connection.open_until is None:
        return True
    if connection.open_until > now:
        return False
    probe = Connection.objects.filter(pk=connection.pk, open_until=connection.open_until)
    return bool(probe.update(open_until=now + PROBE))


def note_success(*, connection: Connection) -> None:
    """The host answered: the breaker closes.

    Written at most once a minute while all is well; not audited, because nobody decided anything.
    """
    now = timezone.now()
    unwell = ~Q(failures=0) | Q(open_until__isnull=False) | ~Q(last_error="")
    due = unwell | Q(last_ok_at__isnull=True) | Q(last_ok_at__lt=now - OK_NOTED_EVERY)
    Connection.objects.filter(due, pk=connection.pk).update(
        failures=0, open_until=None, last_ok_at=now, last_error=""
    )


def note_failure(*, connection: Connection, error: str) -> bool:
    """The host failed. The fifth failure in a row opens the breaker: for 30 s, then twice as long, at most 15 min.

    Returns:
        Whether the breaker is open now.
    """
    now = timezone.now()
    for _ in range(10):
        row = (
            Connection.objects.unrestricted(REASON)
            .filter(pk=connection.pk)
            .values("failures", "open_until")
            .first()
        )
        if row is None:
            return False
        failures = row["failures"] + 1
        changes: dict[str, Any] = {"failures": failures, "last_error": error[:1_000]}
        if failures >= OPENS_AFTER:
            changes["open_until"] = now + min(
                FIRST_PAUSE * 2 ** min(failures - OPENS_AFTER, 10), LONGEST_PAUSE
            )
        if Connection.objects.filter(pk=connection.pk, failures=row["failures"]).update(**changes):
            return failures >= OPENS_AFTER
    Connection.objects.filter(pk=connection.pk).update(failures=F("failures") + 1, last_error=error[:1_000])
    return False


def reserve_call(*, connection: Connection, longest: timedelta) -> datetime:
    """When the next call to this host may go out. With a rate budget that moment is the caller's alone.

    Calls of all processes take their turns in the row, each a slot after the one before.

    Raises:
        ServiceUnavailableError: it would be later than ``longest`` from now; nothing is reserved then.
    """
    row = Connection.objects.unrestricted(REASON).filter(pk=connection.pk)
    while True:  # whoever loses the compare-and-set lost it to a call that got its turn
        found = row.values_list("rate_per_minute", "next_call_at").first()
        now = timezone.now()
        if found is None:
            return now
        rate, taken = found
        start = max(taken or now, now)
        if start - now > longest:
            raise ServiceUnavailableError(
                f"The connection {connection.name} may not be used before {start:%H:%M:%S} UTC:"
                " its rate of calls is used up.",
                code="connections.limited",
                remedy="Wait, raise its calls a minute, or give it a credential for which the host allows more.",
            )
        if not rate:
            return start
        turn = Connection.objects.filter(pk=connection.pk, next_call_at=taken)
        if turn.update(next_call_at=start + timedelta(minutes=1) / rate):
            return start


def hold_off(*, connection: Connection, seconds: float) -> None:
    """The host asked to be left alone for a while: no call of any process goes out before that is over."""
    until = timezone.now() + min(timedelta(seconds=seconds), LONGEST_HOLD)
    sooner = Q(next_call_at__isnull=True) | Q(next_call_at__lt=until)
    Connection.objects.filter(sooner, pk=connection.pk).update(next_call_at=until)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check came to: ``problem`` and ``remedy`` are empty where all is well."""

    ok: bool
    url: str
    seconds: float
    problem: str = ""
    remedy: str = ""


def check_connection(*, actor: Viewer, connection: Connection) -> CheckResult:
    """Ask the host for something small with the credential of the connection, and note the outcome.

    Waits up to 10 s for the network. The breaker does not hold it back: a person wants to know now.
    """
    config = host_config(connection)
    url = (config.api_url or config.base_url) + (_CHECK_PATHS.get(config.kind, "") if config.api_url else "")
    started = time.monotonic()
    problem = remedy = ""
    try:
        with Client(config.egress(), timeout=CHECK_SECONDS) as client:
            answer = client.request("GET", url, auth=config.authorization(), max_redirects=3, attempts=1)
        if answer.status in (401, 403):
            problem = f"{answer.url} refused the credential (status {answer.status})."
            remedy = "Check the reference, the user name and the rights of the token."
        elif answer.status >= 400 and not (answer.status == 404 and not config.api_url):
            problem = f"{answer.url} answered with status {answer.status}."
            remedy = "Check the kind and the addresses of this connection."
    except CallboardError as error:
        problem, remedy = error.message, error.remedy
    if problem:
        note_failure(connection=connection, error=problem)
    else:
        note_success(connection=connection)
    with transaction.atomic():
        after = {"ok": not problem, "problem": problem}
        record(actor=actor.actor, verb="connections.connection.checked", target=connection, after=after)
    return CheckResult(not problem, url, round(time.monotonic() - started, 3), problem, remedy)
