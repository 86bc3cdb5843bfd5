"""People."""

from __future__ import annotations

from django.db import transaction

from portal.access.models import User
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError


def viewer_of_user(user: User) -> Viewer:
    """The viewer that a signed-in session stands for."""
    return Viewer(
        actor=f"user:{user.username}",
        name=str(user),
        user_id=user.pk,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
    )


@transaction.atomic
def create_user(
    *,
    actor: Viewer,
    username: str,
    email: str = "",
    full_name: str = "",
    password: str | None = None,
    is_staff: bool = False,
    is_superuser: bool = False,
) -> User:
    """Create a person who can sign in (without a password: only through an identity provider).

    Raises:
        ConflictError: the name is taken.
    """
    if User.objects.filter(username__iexact=username).exists():
        raise ConflictError(f"There is already a person named {username}.", code="access.user.taken")
    first, _, last = full_name.partition(" ")
    user: User = User.objects.create_user(
        username, email, password, first_name=first, last_name=last, is_staff=is_staff, is_superuser=is_superuser
    )
    record(
        actor=actor.actor,
        verb="access.user.created",
        target=user,
        after={"username": username, "email": email, "is_staff": is_staff, "is_superuser": is_superuser},
    )
    return user
