"""People."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from portal.access.models import User
from portal.access.services.sessions import end_sessions
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError, InputError, NotAllowedError, NotFoundError

CHANGEABLE = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser")


def viewer_of_user(user: User) -> Viewer:
    """The viewer that a signed-in session stands for."""
    return Viewer(
        actor=f"user:{user.username}",
        name=str(user),
        user_id=user.pk,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
    )


def _check(user: User, fields: set[str]) -> None:
    """Raises InputError with the field in its details, ConflictError where the name is taken in any letter case."""
    try:
        user.clean_fields(exclude={field.name for field in User._meta.fields} - fields)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InputError(" ".join(messages), code=f"access.user.{field}", details={"field": field}) from error
    if (
        "username" in fields
        and User.objects.filter(username__iexact=user.username).exclude(pk=user.pk).exists()
    ):
        raise _taken(user.username)


def _check_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InputError(
            " ".join(error.messages),
            code="access.user.password",
            remedy="Choose another one.",
            details={"field": "password"},
        ) from error


def _taken(username: str) -> ConflictError:
    return ConflictError(
        f"There is already a person named {username}.",
        code="access.user.taken",
        remedy="Choose another name.",
        details={"field": "username"},
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
        InputError: a value or the password does not fit the rules.
        ConflictError: the name is taken.
    """
    first, _, last = full_name.partition(" ")
    user = User(
        username=User.normalize_username(username),
        email=User.objects.normalize_email(email),
        first_name=first,
        last_name=last,
        is_staff=is_staff,
        is_superuser=is_superuser,
    )
    _check(user, {"username", "email", "first_name", "last_name"})
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(user, password)
        user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise _taken(username) from error
    record(
        actor=actor.actor,
        verb="access.user.created",
        target=user,
        after={"username": username, "email": email, "is_staff": is_staff, "is_superuser": is_superuser},
    )
    return user


@transaction.atomic
def update_user(*, actor: Viewer, user: User, changes: Mapping[str, Any]) -> User:
    """Change a person. Taking ``is_active`` away ends their sessions and revokes their tokens for good.

    The next request of either is refused; another process may take a token for one second more.

    Raises:
        InputError: a value does not fit, or the field is not one of those that may be changed.
        ConflictError: the name is taken.
        NotAllowedError: somebody takes the way into admin from themselves.
        NotFoundError: the person is gone.
    """
    if unknown := sorted(set(changes) - set(CHANGEABLE)):
        raise InputError(f"{unknown[0]} of a person is not changed here.", code="access.user.field")
    stored = User.objects.filter(pk=user.pk).first()
    if stored is None:
        raise NotFoundError(f"There is no person {user.username} any more.", code="access.user.gone")
    before = {
        field: getattr(stored, field) for field, value in changes.items() if getattr(stored, field) != value
    }
    if not before:
        return stored
    for field in before:
        setattr(stored, field, changes[field])
    locks_out = not stored.is_active or (before.get("is_staff") and not stored.is_staff)
    if stored.pk == actor.user_id and locks_out:
        raise NotAllowedError(
            "You would lock yourself out of admin.",
            code="access.user.self",
            remedy="Ask another administrator to do it.",
            details={"field": "is_staff"},
        )
    _check(stored, set(before))
    stored.save(update_fields=list(before))
    if before.get("is_active") and not stored.is_active:
        from portal.access.services.tokens import revoke_tokens  # which stands on this module

        end_sessions(actor=actor, user=stored)
        revoke_tokens(actor=actor, user=stored)
    after = {field: changes[field] for field in before}
    record(actor=actor.actor, verb="access.user.changed", target=stored, before=before, after=after)
    return stored


@transaction.atomic
def set_password(*, actor: Viewer, user: User, password: str | None) -> None:
    """Give a person a new password, or none; every session of theirs ends. The record does not contain it.

    Raises:
        InputError: the password does not fit the rules.
    """
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(user, password)
        user.set_password(password)
    user.save(update_fields=["password"])
    if user.pk != actor.user_id:
        end_sessions(actor=actor, user=user)
    record(
        actor=actor.actor,
        verb="access.user.password_set",
        target=user,
        after={"usable": password is not None},
    )
