"""Every write to a subscription by a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.egress import EgressPolicy, approve
from portal.core.errors import (
    CallboardError,
    ConflictError,
    EgressRefusedError,
    InputError,
    NotFoundError,
    PreconditionFailedError,
    ServiceUnavailableError,
    TimedOutError,
)
from portal.core.http import mask_url, origin
from portal.events.filters import EventFilter
from portal.events.models import Delivery, Subscription
from portal.events.selectors import bounds
from portal.events.services import messages
from portal.events.services.messages import Outcome, sealed_secret
from portal.events.signing import new_secret

#: How long the secret before the current one signs as well.
OVERLAP = timedelta(hours=24)
#: Seconds that the name service has while a person waits for the form.
RESOLVE_SECONDS = 3.0
#: Where it goes on when it is switched on: where it stopped, at the oldest event that is kept, or at the end.
STARTS = ("resume", "oldest", "now")
PING = "callboard.ping"
_OWN = "the subscription that was just written"
_CHANGEABLE = ("name", "url", "types", "subjects")


@transaction.atomic
def create_subscription(
    *,
    actor: Viewer,
    name: str,
    url: str,
    types: list[str] | None = None,
    subjects: list[str] | None = None,
    start: str = "now",
) -> tuple[Subscription, str]:
    """Tell an address of events from now on (``start="oldest"``: of all that are kept).

    It gets what ``actor`` may see; subscriptions that the system makes get everything.

    Returns:
        The row, and the secret, which is shown this once.

    Raises:
        InputError: no name, no URL, a filter that is none.
        EgressRefusedError: an address that may not be reached.
        ConflictError: there is one of that name.
    """
    if start not in ("oldest", "now"):
        raise _no_start(start, ("oldest", "now"))
    oldest, newest = bounds()
    values = _checked({"name": name, "url": url, "types": types or [], "subjects": subjects or []})
    subscription = Subscription(
        **values,
        user_id=actor.user_id,
        created_by=actor.actor[:200],
        position=newest if start == "now" else oldest - 1,
    )
    secret = new_secret()
    subscription.secret = sealed_secret(subscription, secret)
    try:
        with transaction.atomic():
            subscription.save(force_insert=True)
    except IntegrityError:
        raise _name_taken(name) from None
    record(
        actor=actor.actor,
        verb="events.subscription.created",
        target=subscription,
        after={**_shown(values), "start": start},
    )
    return subscription, secret


@transaction.atomic
def change_subscription(
    *, actor: Viewer, subscription: Subscription, changes: Mapping[str, Any], revision: int | None = None
) -> Subscription:
    """Change name, url, types or subjects. What is on its way is not sent anew.

    Args:
        revision: refuse where it is not the current one any more.

    Raises:
        as :func:`create_subscription`; PreconditionFailedError, NotFoundError.
    """
    unknown = sorted(set(changes) - set(_CHANGEABLE))
    if unknown:
        raise InputError(
            f"{unknown[0]!r} of a webhook cannot be changed.",
            code="events.subscription.field",
            remedy=f"One can change {', '.join(_CHANGEABLE)}.",
        )
    stored = _stored(subscription)
    values = {name: value for name, value in _checked(changes).items() if value != getattr(stored, name)}
    if values:
        before = {name: getattr(stored, name) for name in values}
        try:
            with transaction.atomic():
                _update(stored, revision, **values)
        except IntegrityError:
            raise _name_taken(str(values["name"])) from None
        record(
            actor=actor.actor,
            verb="events.subscription.changed",
            target=stored,
            before=_shown(before),
            after=_shown(values),
        )
    elif revision is not None and revision != stored.revision:
        raise _was_changed(stored)
    return _stored(subscription)


@transaction.atomic
def switch_off(*, actor: Viewer, subscription: Subscription, reason: str = "") -> Subscription:
    """Send nothing any more; what it has not got yet waits for as long as events are kept."""
    stored = _stored(subscription)
    if stored.enabled:
        reason = reason or f"Switched off by {actor.actor}."
        _update(stored, None, enabled=False, reason=reason, next_try_at=None)
        record(
            actor=actor.actor,
            verb="events.subscription.disabled",
            target=stored,
            before={"enabled": True},
            after={"enabled": False, "reason": reason},
        )
    return _stored(subscription)


@transaction.atomic
def switch_on(*, actor: Viewer, subscription: Subscription, start: str = "resume") -> Subscription:
    """Send again: where it stopped, from the oldest event that is kept, or from now on.

    Raises:
        InputError: no such start.
        ConflictError: ``resume``, but events it has not got are forgotten.
    """
    if start not in STARTS:
        raise _no_start(start, STARTS)
    stored = _stored(subscription)
    oldest, newest = bounds()
    position = {"resume": stored.position, "oldest": oldest - 1, "now": newest}[start]
    if not oldest - 1 <= position <= newest:
        raise ConflictError(
            f"{stored.name} cannot go on where it stopped: events it has not got are forgotten.",
            code="events.subscription.gap",
            remedy="Switch it on from the oldest event that is kept, or from now on.",
        )
    if stored.enabled and position == stored.position:
        return stored
    # A sender that is at work with the old position loses its claim by the fence.
    _update(
        stored,
        None,
        enabled=True,
        reason="",
        position=position,
        failures=0,
        failing_since=None,
        next_try_at=None,
        fence=F("fence") + 1,
        lease_until=None,
    )
    if position > stored.position:
        Delivery.objects.filter(subscription=stored, state=Delivery.State.RETRYING).update(
            state=Delivery.State.DROPPED, next_try_at=None, body=""
        )
    record(
        actor=actor.actor,
        verb="events.subscription.enabled",
        target=stored,
        before={"enabled": stored.enabled},
        after={"enabled": True, "start": start},
    )
    return _stored(subscription)


@transaction.atomic
def rotate_secret(*, actor: Viewer, subscription: Subscription) -> tuple[Subscription, str]:
    """Give it a new secret. For a day both sign, so that the receiver can change over without missing anything.

    Returns:
        The row, and the new secret, which is shown this once.
    """
    stored = _stored(subscription)
    secret, until = new_secret(), timezone.now() + OVERLAP
    _update(
        stored,
        stored.revision,  # of two at the same moment one is told to look again, instead of losing a secret
        secret=sealed_secret(stored, secret),
        previous_secret=stored.secret,
        previous_until=until,
    )
    record(
        actor=actor.actor,
        verb="events.subscription.secret-rotated",
        target=stored,
        after={"previous_until": until},
    )
    return _stored(subscription), secret


@transaction.atomic
def delete_subscription(*, actor: Viewer, subscription: Subscription, revision: int | None = None) -> None:
    """Remove it with its deliveries and dead letters.

    Raises:
        NotFoundError, PreconditionFailedError
    """
    stored = _stored(subscription)
    if revision is not None and revision != stored.revision:
        raise _was_changed(stored)
    dead = Delivery.objects.unrestricted(_OWN).filter(subscription=stored, state=Delivery.State.DEAD).count()
    record(
        actor=actor.actor,
        verb="events.subscription.deleted",
        target=stored,
        before={**_shown({name: getattr(stored, name) for name in _CHANGEABLE}), "dead_letters": dead},
    )
    Subscription.objects.unrestricted(_OWN).filter(pk=stored.pk).delete()


def ping(*, actor: Viewer, subscription: Subscription) -> Outcome:
    """Send ``callboard.ping`` now, once, beside the order of events. Waits up to 10 s for the answer."""
    stored = _stored(subscription)
    uid = uuid4()
    body = messages.body_of(
        uid=uid, type=PING, subject=stored.name, data={"sentBy": actor.actor}, at=timezone.now()
    )
    with messages.client() as http:
        outcome = messages.send(http, stored, uid, body)
    record(
        actor=actor.actor,
        verb="events.subscription.pinged",
        target=stored,
        after={"ok": outcome.ok, "status": outcome.status, "problem": outcome.problem},
    )
    return outcome


def _stored(subscription: Subscription) -> Subscription:
    row = Subscription.objects.unrestricted(_OWN).filter(pk=subscription.pk).first()
    if row is None:
        raise NotFoundError(f"The webhook {subscription.name} is gone.", code="events.subscription.gone")
    return row


def _update(stored: Subscription, revision: int | None, **values: Any) -> None:
    rows = Subscription.objects.filter(pk=stored.pk)
    if revision is not None:
        rows = rows.filter(revision=revision)
    if not rows.update(**values, revision=F("revision") + 1):
        raise _was_changed(stored)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they are stored.

    Raises:
        InputError, EgressRefusedError
    """
    checked = dict(values)
    if "name" in checked:
        name = str(checked["name"]).strip()
        if not 0 < len(name) <= 100 or not name.isprintable():
            raise InputError(
                "A webhook needs a name of at most 100 characters.",
                code="events.subscription.name",
                details={"field": "name"},
            )
        checked["name"] = name
    if "url" in checked:
        checked["url"] = _checked_url(str(checked["url"]).strip())
    for field in ("types", "subjects"):
        if field in checked:
            found = EventFilter.of(**{field: checked[field]})
            checked[field] = list(getattr(found, field))
    return checked


def _checked_url(url: str) -> str:
    """An address that may be reached, as far as that can be said now; each delivery is checked again."""
    try:
        _, host, port = origin(url)
        if len(url) > 2000:
            raise InputError("The URL has more than 2000 characters.", code="events.subscription.url")
        approve(host, port, EgressPolicy.from_settings(), timeout=RESOLVE_SECONDS)
    except EgressRefusedError as error:
        raise EgressRefusedError(
            error.message, remedy=messages.EGRESS_REMEDY, details={"field": "url"}
        ) from None
    except (ServiceUnavailableError, TimedOutError):
        return url  # a receiver may be set up later; its deliveries say what is wrong
    except CallboardError as error:
        error.details.setdefault("field", "url")
        raise
    return url


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit record: tokens in the address stay out of it."""
    return {name: mask_url(value) if name == "url" else value for name, value in values.items()}


def _no_start(start: str, starts: tuple[str, ...]) -> InputError:
    return InputError(
        f"{start[:40]!r} is no start.", code="events.subscription.start", remedy=f"Say {' or '.join(starts)}."
    )


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"There is a webhook named {name} already.",
        code="events.subscription.name-taken",
        remedy="Choose another name, or change that one.",
        details={"field": "name"},
    )


def _was_changed(subscription: Subscription) -> PreconditionFailedError:
    return PreconditionFailedError(
        f"The webhook {subscription.name} was changed by somebody else meanwhile.",
        code="events.subscription.changed",
        remedy="Read it again, then repeat the change.",
    )
