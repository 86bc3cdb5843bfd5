"""What became of viewers since they came: for connections that stay open."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q
from django.utils import timezone

from portal.access.models import Token, User
from portal.access.services.tokens import viewer_of_stored_token
from portal.access.services.users import viewer_of_user
from portal.access.viewer import Viewer

_REASON = "whether people who are here may stay"


def current_viewers(viewers: Collection[Viewer]) -> dict[Viewer, Viewer]:
    """Each viewer as of now; those whose token was revoked or ran out, or whose person may not sign in, are missing.

    Two statements, whatever their number.
    """
    tokens = {viewer.token_id for viewer in viewers if viewer.token_id is not None}
    people = {viewer.user_id for viewer in viewers if viewer.token_id is None and viewer.user_id is not None}
    valid = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    by_token: dict[int | None, Viewer] = {}
    if tokens:
        rows = Token.objects.unrestricted(_REASON).select_related("user").filter(valid, pk__in=tokens)
        for token in rows.filter(revoked_at__isnull=True, user__is_active=True):
            by_token[token.pk] = viewer_of_stored_token(token)
    by_person: dict[int | None, Viewer] = {}
    if people:
        for user in User.objects.filter(pk__in=people, is_active=True):
            by_person[user.pk] = viewer_of_user(user)
    found: dict[Viewer, Viewer] = {}
    for viewer in viewers:
        now = by_token.get(viewer.token_id) if viewer.token_id is not None else by_person.get(viewer.user_id)
        if viewer.is_system:
            now = viewer
        if now is not None:
            found[viewer] = now
    return found
