"""Switch extensions on and off at run time."""

from __future__ import annotations

from django.db import transaction

from portal.core.errors import NotFoundError
from portal.plugins.models import ExtensionState
from portal.plugins.registry import registry


@transaction.atomic
def switch_extension(*, actor: str, key: str, enabled: bool) -> ExtensionState:
    """Set a switch; every process sees it within a second. The caller (portal.web) records the audit event.

    Args:
        key: ``point:key`` of an extension, or ``plugin:entry`` for all that a plugin registered.

    Raises:
        NotFoundError: nothing of that name is registered.
    """
    if not registry.knows(key):
        raise NotFoundError(f"No plugin registered {key}.", code="plugins.switch.unknown")
    state, _ = ExtensionState.objects.unrestricted("one switch by key").update_or_create(
        key=key, defaults={"enabled": enabled, "changed_by": actor}
    )
    transaction.on_commit(registry.forget_switches)
    return state
