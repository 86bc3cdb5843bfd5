"""Hooks: made, changed, given a new secret, removed."""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.ingest.pushes.signatures import WHSEC
from catalog.models import Hook, HookDelivery, Source
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.connections.credentials import check_reference, resolve_credential
from portal.core.crypto import decrypt, encrypt
from portal.core.errors import ConflictError, InputError, NotFoundError
from portal.jobs.services import remove_schedule, set_schedule

REASON = "hooks act for the system"
FORGET_JOB, FORGET_SCHEDULE = "catalog.forget_deliveries", "catalog.hooks.forget"
DAY = 86_400
#: How long the former secret counts after a change, unless said otherwise.
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)
SHORTEST_SECRET = 16
CHANGEABLE = frozenset({"name", "enabled", "sources"})


@dataclass(frozen=True, slots=True)
class HookSecret:
    """A hook and its secret, where that was made here or given: the only time that it can be shown."""

    hook: Hook
    secret: str


def create_hook(
    *,
    actor: Viewer,
    name: str,
    provider: str,
    sources: Iterable[Source] = (),
    secret_ref: str = "",
    secret: str = "",
    enabled: bool = True,
) -> HookSecret:
    """Make an endpoint.

    Args:
        sources: what it may read; none means all that match a push.
        secret_ref: where the secret is (``env:``, ``file:``, ``vault:``); without it one is sealed here.
        secret: one that the host made; without it a random one.

    Returns:
        The row, and the sealed secret, which is shown this once; empty with ``secret_ref``.

    Raises:
        InputError: no name, no such provider, a secret that is too short, or both sorts of secret.
        ConflictError: the name is taken.
    """
    hook = Hook(name=_checked_name(name), provider=provider, enabled=enabled, created_by=actor.actor[:200])
    if provider not in Hook.Provider.values:
        raise InputError(
            f"{provider!r} is no kind of host.",
            code="catalog.hook.provider",
            remedy=f"Use one of {', '.join(Hook.Provider.values)}.",
        )
    hook.secret_ref, hook.sealed_secret, text = _stored_secret(hook, secret_ref, secret)
    chosen = list(sources)
    hook.limited = bool(chosen)
    with transaction.atomic():
        try:
            with transaction.atomic():
                hook.save(force_insert=True)
        except IntegrityError:
            raise _taken(hook.name) from None
        _set_sources(hook, chosen)
        after = {"name": hook.name, "provider": provider, "enabled": enabled, "secret": secret_ref or "sealed",
                 "sources": sorted(source.name for source in chosen)}  # fmt: skip
        record(actor=actor.actor, verb="catalog.hook.created", target=hook, after=after)
        set_schedule(
            actor=Viewer.system("hooks"),
            name=FORGET_SCHEDULE,
            kind=FORGET_JOB,
            payload={},
            every=DAY,
            jitter=DAY // 24,
        )
    return HookSecret(hook, text)


@transaction.atomic
def update_hook(*, actor: Viewer, hook: Hook, changes: Mapping[str, Any]) -> Hook:
    """Change ``name``, ``enabled`` or ``sources`` (an iterable of sources; empty means all that match).

    Raises:
        NotFoundError: it is gone. InputError: another field, no name. ConflictError: the name is taken.
    """
    stored = _held(hook)
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise InputError(
            f"{', '.join(sorted(unknown))} of a webhook cannot be changed.", code="catalog.hook.field"
        )
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for field in ("name", "enabled"):
        value = _checked_name(changes[field]) if field == "name" and field in changes else changes.get(field)
        if field in changes and getattr(stored, field) != value:
            before[field], after[field] = getattr(stored, field), value
            setattr(stored, field, value)
    if "sources" in changes:
        chosen = list(changes["sources"])
        named = sorted(source.name for source in sources_named_by(stored))
        wanted = sorted(source.name for source in chosen)
        if named != wanted or stored.limited != bool(chosen):
            before["sources"], after["sources"] = named, wanted
            stored.limited = bool(chosen)
            _set_sources(stored, chosen)
    if after:
        try:
            with transaction.atomic():
                stored.save(update_fields=["name", "enabled", "limited"])
        except IntegrityError:
            raise _taken(stored.name) from None
        record(actor=actor.actor, verb="catalog.hook.changed", target=stored, before=before, after=after)
    return stored


@transaction.atomic
def rotate_secret(
    *, actor: Viewer, hook: Hook, secret_ref: str = "", secret: str = "", overlap: timedelta = OVERLAP
) -> HookSecret:
    """Give a hook a new secret; the former one counts for ``overlap`` longer, so that no delivery is lost meanwhile.

    Raises:
        NotFoundError: it is gone. InputError: as for creating, or an overlap of more than 30 days.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InputError(
            "The former secret counts for at most 30 days.",
            code="catalog.hook.overlap",
            remedy="Name fewer hours.",
        )
    stored = _held(hook)
    stored.previous_ref, stored.previous_sealed = stored.secret_ref, stored.sealed_secret
    stored.previous_until = timezone.now() + overlap
    stored.secret_ref, stored.sealed_secret, text = _stored_secret(stored, secret_ref, secret)
    stored.save(
        update_fields=["secret_ref", "sealed_secret", "previous_ref", "previous_sealed", "previous_until"]
    )
    after = {"secret": secret_ref or "sealed", "former_until": stored.previous_until}
    record(actor=actor.actor, verb="catalog.hook.secret_changed", target=stored, after=after)
    return HookSecret(stored, text)


@transaction.atomic
def delete_hook(*, actor: Viewer, hook: Hook) -> int:
    """Remove an endpoint with its deliveries. Returns how many there were.

    Raises:
        NotFoundError: it is gone already.
    """
    stored = _held(hook)
    deliveries = HookDelivery.objects.unrestricted(REASON).filter(hook=stored).count()
    before = {"name": stored.name, "provider": stored.provider, "deliveries": deliveries}
    record(actor=actor.actor, verb="catalog.hook.removed", target=stored, before=before)
    stored.delete()
    if not Hook.objects.unrestricted(REASON).exists():
        remove_schedule(name=FORGET_SCHEDULE, actor=actor)
    return deliveries


def sources_named_by(hook: Hook) -> list[Source]:
    """The sources that a hook is limited to, by name."""
    chosen = Hook.sources.through.objects.filter(hook=hook).values("source")
    return list(Source.objects.unrestricted(REASON).filter(pk__in=chosen).order_by("name"))


def _set_sources(hook: Hook, sources: Iterable[Source]) -> None:
    rows = Hook.sources.through.objects
    rows.filter(hook=hook).delete()
    rows.bulk_create([Hook.sources.through(hook=hook, source=source) for source in sources])


def secrets_of(hook: Hook) -> list[str]:
    """The secrets that count now: the current one first.

    Raises:
        CredentialError, InputError: the reference of the current one leads to no secret.
        KeyringError, DecryptionError: the sealed one cannot be opened.
    """
    found = [_open(hook, hook.secret_ref, hook.sealed_secret)]
    if hook.previous_until is not None and hook.previous_until > timezone.now():
        found.append(_open(hook, hook.previous_ref, hook.previous_sealed))
    return found


def _open(hook: Hook, reference: str, sealed: str) -> str:
    return resolve_credential(reference) if reference else decrypt(sealed, context=_context(hook)).decode()


def _context(hook: Hook) -> str:
    return f"catalog.hook:{hook.pk}"


def _stored_secret(hook: Hook, reference: str, given: str) -> tuple[str, str, str]:
    """Reference, sealed secret, and its text to be shown once."""
    if reference:
        if given:
            raise InputError(
                "Give the secret or where it is, not both.",
                code="catalog.hook.secret",
                remedy="Leave one out.",
            )
        check_reference(reference)
        return reference, "", ""
    text = given.strip() or WHSEC + base64.b64encode(randomness.token_bytes(32)).decode()
    if len(text) < SHORTEST_SECRET or len(text) > 500 or not text.isascii():
        raise InputError(
            f"A secret has {SHORTEST_SECRET} to 500 ASCII characters.",
            code="catalog.hook.secret",
            remedy="Leave it empty, and a random one is made.",
        )
    return "", encrypt(text.encode(), context=_context(hook)), text


def _checked_name(name: Any) -> str:
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 100 or "\0" in text:
        raise InputError("A webhook needs a name of at most 100 characters.", code="catalog.hook.name")
    return text


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"There is already a webhook named {name}.", code="catalog.hook.taken", remedy="Choose another name."
    )


def _held(hook: Hook) -> Hook:
    """The row as it is now, locked until the transaction ends."""
    stored = Hook.objects.unrestricted(REASON).select_for_update().filter(pk=hook.pk).first()
    if stored is None:
        raise NotFoundError("There is no such webhook any more.", code="catalog.hook.gone")
    return stored
