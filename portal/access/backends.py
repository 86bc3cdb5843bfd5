"""Finding the person of a session, and in the same statement how old what is remembered of permission may be."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.db.models import Subquery

from portal.access.models import AccessVersion, User

_REASON = "permission is worked out before anybody may see anything"


class Backend(AuthenticationBackend):
    """Sign-in as allauth has it."""

    def get_user(self, user_id: Any) -> User | None:
        """The person, with ``access_version``; None for one who may not sign in."""
        number = AccessVersion.objects.unrestricted(_REASON).filter(pk=1).values("number")
        user: User | None = User.objects.annotate(access_version=Subquery(number)).filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
