"""A delivery: checked, written down once, and the sources that it is about queued, all in one transaction."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from prometheus_client import Counter

from catalog.ingest.pushes.events import KEPT_HEADERS, PushEvent
from catalog.ingest.pushes.providers import delivery_id, event_name, read_event
from catalog.ingest.pushes.signatures import is_signed
from catalog.models import Hook, HookDelivery, Source
from catalog.services.hooks.keeping import secrets_of
from catalog.services.hooks.matching import Match, sources_of
from catalog.services.sources import request_sync
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import (
    AuthenticationError,
    CallboardError,
    ConflictError,
    InputError,
    ServiceUnavailableError,
)

log = structlog.get_logger(__name__)
REASON = "a delivery is looked after for the system"
NOTED_EVERY = timedelta(minutes=1)
SHOWN_NAMES = 5
FORGET_BATCH, FORGET_BATCHES = 200, 500
_deliveries = Counter(
    "callboard_hook_deliveries",
    "What deliveries of webhooks came to, by kind of host.",
    ["provider", "verdict"],
)


@dataclass(frozen=True, slots=True)
class Received:
    """What a delivery came to. ``duplicate`` where it was here before, and nothing was done now."""

    delivery: HookDelivery
    duplicate: bool = False


@dataclass(slots=True)
class _Plan:
    """What a delivery says and what is to be done about it."""

    verdict: str
    message: str
    event: PushEvent | None = None
    read: list[Source] = field(default_factory=list)
    named: list[Source] = field(default_factory=list)


def hook_of(key: UUID) -> Hook | None:
    """The endpoint at an address; None where there is none, or it is switched off."""
    return Hook.objects.unrestricted("who sends is known by the secret").filter(pk=key, enabled=True).first()


def refused() -> AuthenticationError:
    """The one answer to whoever does not prove who they are: it tells neither what is wrong nor what is there."""
    _deliveries.labels("unknown", "refused").inc()
    return AuthenticationError("This delivery is not accepted.", code="catalog.hook.refused")


def receive_delivery(*, hook: Hook, headers: Mapping[str, str], body: bytes) -> Received:
    """Take a delivery.

    When this returns, the delivery and the jobs that it asks for are committed. The same delivery again, also at the
    same moment in another process, changes nothing.

    Args:
        headers: with names in lower case.
        body: as it came.

    Raises:
        AuthenticationError: it is not signed with the secret of the hook; nothing of it is kept.
        ServiceUnavailableError: the secret cannot be had just now; why is in the log only.
    """
    if not is_signed(hook.provider, headers, body, _secrets(hook), now=time.time()):
        _note_refused(hook)
        raise refused()
    id = delivery_id(hook.provider, headers, body)
    same = HookDelivery.objects.filter(hook=hook, delivery_id=id, attempt=0)
    if same.update(duplicates=F("duplicates") + 1):
        return _again(hook, id)
    kept = {name: headers[name][:300] for name in KEPT_HEADERS if headers.get(name)}
    plan = _plan(hook, kept, body)
    try:
        with transaction.atomic():
            delivery = _write(hook, id, plan, kept, zlib.compress(body, 1))
            Hook.objects.filter(pk=hook.pk).update(last_delivery_at=delivery.received_at)
    except IntegrityError:
        if not same.update(duplicates=F("duplicates") + 1):
            raise
        return _again(hook, id)
    _deliveries.labels(hook.provider, delivery.verdict).inc()
    return Received(delivery)


def _secrets(hook: Hook) -> list[str]:
    try:
        return secrets_of(hook)
    except CallboardError as error:
        log.error("hook_without_secret", hook=str(hook.pk), code=error.code, reason=error.message)
        raise ServiceUnavailableError(
            "This delivery cannot be checked just now.", code="catalog.hook.secret_unavailable"
        ) from error


def _again(hook: Hook, id: str) -> Received:
    _deliveries.labels(hook.provider, "duplicate").inc()
    rows = HookDelivery.objects.unrestricted(REASON).defer("body")
    return Received(rows.get(hook=hook, delivery_id=id, attempt=0), duplicate=True)


def _note_refused(hook: Hook) -> None:
    """For the page of the hook; at most one write a minute, whoever knocks how often."""
    now = timezone.now()
    rows = Hook.objects.filter(Q(refused_at=None) | Q(refused_at__lt=now - NOTED_EVERY), pk=hook.pk)
    if hook.refused_at is None or now - hook.refused_at > NOTED_EVERY:
        rows.update(refused_at=now)


@transaction.atomic
def replay_delivery(*, actor: Viewer, delivery: HookDelivery) -> HookDelivery:
    """Look at the stored body anew, with the sources there are now, as a further attempt.

    Raises:
        ConflictError: the hook is switched off, or somebody else replays it at this moment.
    """
    rows = HookDelivery.objects.unrestricted(REASON)
    stored = rows.select_related("hook").filter(pk=delivery.pk).first()
    if stored is None or not stored.hook.enabled:
        raise ConflictError(
            "This delivery cannot be replayed: its webhook is switched off, or it is gone.",
            code="catalog.hook.replay",
            remedy="Switch the webhook on first.",
        )
    plan = _plan(stored.hook, stored.headers, zlib.decompress(bytes(stored.body)))
    last = rows.filter(hook=stored.hook, delivery_id=stored.delivery_id).aggregate(last=Max("attempt"))[
        "last"
    ]
    try:
        with transaction.atomic():
            again = _write(
                stored.hook,
                stored.delivery_id,
                plan,
                stored.headers,
                bytes(stored.body),
                attempt=(last or 0) + 1,
                actor=actor,
            )
    except IntegrityError:
        raise ConflictError(
            "Somebody else replays this delivery just now.", code="catalog.hook.replay", remedy="Look again."
        ) from None
    after = {"delivery": stored.delivery_id, "attempt": again.attempt, "verdict": again.verdict}
    record(actor=actor.actor, verb="catalog.hook.replayed", target=stored.hook, after=after)
    _deliveries.labels(stored.hook.provider, again.verdict).inc()
    return again


def _write(
    hook: Hook,
    id: str,
    plan: _Plan,
    headers: Mapping[str, str],
    body: bytes,
    *,
    attempt: int = 0,
    actor: Viewer | None = None,
) -> HookDelivery:
    """The row and the jobs, in the caller's transaction."""
    event = plan.event
    change = event.changes[0] if event is not None and event.changes else None
    delivery = HookDelivery(
        hook=hook,
        delivery_id=id,
        attempt=attempt,
        actor=actor.actor[:200] if actor is not None else "",
        event=(event.event if event is not None else event_name(headers))[:150],
        received_at=timezone.now(),
        verdict=plan.verdict,
        message=plan.message[:500],
        repository=event.repository[:300] if event is not None else "",
        branch=change.name if change is not None else "",
        commit=change.commit if change is not None else "",
        headers=dict(headers),
        body=body,
    )
    delivery.save(force_insert=True)
    by = actor or Viewer(actor=f"hook:{hook.name}"[:200], name=hook.name, is_staff=True, is_system=True)
    jobs = {source.pk: str(request_sync(actor=by, source=source).pk) for source in plan.read}
    delivery.targets = [
        {"source": str(source.pk), "name": source.name, "job": jobs.get(source.pk, "")}
        for source in plan.named
    ]
    if delivery.targets:
        HookDelivery.objects.filter(pk=delivery.pk).update(targets=delivery.targets)
    return delivery


def _plan(hook: Hook, headers: Mapping[str, str], body: bytes) -> _Plan:
    verdicts = HookDelivery.Verdict
    try:
        event = read_event(hook.provider, headers, body)
    except InputError as error:
        return _Plan(verdicts.UNREADABLE, " ".join(filter(None, (error.message, error.remedy))))
    if event.kind == "ping":
        return _Plan(verdicts.PING, "The host can reach this address.", event)
    if event.kind == "other":
        return _Plan(verdicts.NOTHING, f"{event.event or 'This event'} changes no file.", event)
    match = sources_of(hook, event)
    if event.kind == "push":
        return _pushed(event, match)
    affected = match.all
    if not affected:
        return _Plan(verdicts.NOTHING, f"No source reads {event.repository}.", event)
    what = f"moved to {event.moved_to}" if event.kind == "moved" else "was deleted"
    message = f"{event.repository} {what}. Look after {_names(affected)}."
    return _Plan(verdicts.NOTICE, message, event, named=affected)


def _pushed(event: PushEvent, match: Match) -> _Plan:
    verdicts = HookDelivery.Verdict
    if match.read:
        return _Plan(
            verdicts.QUEUED, f"Reads {_names(match.read)}.", event, read=match.read, named=match.read
        )
    if match.off:
        are = "is" if len(match.off) == 1 else "are"
        reason = f"{_names(match.off)} {are} switched off."
    elif match.unknown:
        reason = (
            f"There is no source named {', '.join(match.unknown[:SHOWN_NAMES])} that this webhook may read."
        )
    elif event.changes and all(change.deleted for change in event.changes):
        reason = f"{_changes(event)} was deleted."
    elif match.elsewhere:
        follow = "follows" if len(match.elsewhere) == 1 else "follow"
        reason = f"{_names(match.elsewhere)} {follow} another branch than {_changes(event)}."
    else:
        reason = f"No source that this webhook may read is in {event.repository}."
    return _Plan(verdicts.NOTHING, reason, event, named=[*match.off, *match.elsewhere])


def _changes(event: PushEvent) -> str:
    words = [f"tag {c.name}" if c.is_tag else c.name for c in event.changes[:SHOWN_NAMES]]
    return ", ".join(words) + (" and others" if len(event.changes) > SHOWN_NAMES else "")


def _names(sources: list[Source]) -> str:
    names = [source.name for source in sources[:SHOWN_NAMES]]
    rest = len(sources) - len(names)
    if rest:
        return f"{', '.join(names)} and {rest} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def forget_old_deliveries() -> int:
    """Delete deliveries that are older than they are kept (``CALLBOARD_HOOK_DAYS``). Returns how many."""
    before = timezone.now() - timedelta(days=settings.CALLBOARD_HOOK_DAYS)
    rows = HookDelivery.objects.unrestricted(REASON).filter(received_at__lt=before)
    gone = 0
    for _ in range(FORGET_BATCHES):
        part = list(rows.values_list("pk", flat=True)[:FORGET_BATCH])
        if not part:
            break
        gone += HookDelivery.objects.unrestricted(REASON).filter(pk__in=part).delete()[0]
    return gone


def outcome_body(received: Received) -> dict[str, Any]:
    """What the host is told: nothing that its people may not know."""
    delivery = received.delivery
    jobs = [] if received.duplicate else [target["job"] for target in delivery.targets if target["job"]]
    return {
        "delivery": delivery.pk,
        "verdict": "duplicate" if received.duplicate else delivery.verdict,
        "jobs": jobs,
    }
