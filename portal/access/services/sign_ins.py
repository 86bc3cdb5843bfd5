"""Records of what people do with their accounts themselves: signing in and out, passwords, addresses."""

from __future__ import annotations

from collections.abc import Mapping

from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.audit.services import record

NOBODY = "anonymous"


def record_account_event(*, user: User, verb: str, after: Mapping[str, str] | None = None) -> AuditEvent:
    """A person did ``access.user.<verb>`` to their own account.

    Args:
        after: what it came to; never a password or a code.
    """
    return record(actor=f"user:{user.username}", verb=f"access.user.{verb}", target=user, after=after)


def record_failed_sign_in(*, name: str) -> AuditEvent:
    """Somebody could not sign in.

    What was typed as name is kept only where it is somebody's: people type passwords there by mistake.
    """
    user = User.objects.filter(username__iexact=name).first() if name else None
    if user is None and name:
        user = User.objects.filter(email__iexact=name).first()
    verb = "access.user.sign_in_failed"
    if user is None:
        return record(
            actor=NOBODY, verb=verb, object_type=User._meta.label_lower, object_name="somebody unknown"
        )
    return record(actor=NOBODY, verb=verb, target=user)
