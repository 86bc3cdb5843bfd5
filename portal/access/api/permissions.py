"""Who may call an operation at all; rows are narrowed by ``visible_to``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from portal.access.standing import may_at_all
from portal.access.viewer import Viewer
from portal.core.errors import AuthenticationError, NotAllowedError

if TYPE_CHECKING:  # REST framework loads this module while it loads its views
    from rest_framework.views import APIView


class SignedIn(BasePermission):
    """Signed in, and allowed what the view says in general; ``actions_by_row`` are decided by its rows."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        viewer = request.auth
        if not isinstance(viewer, Viewer):
            raise AuthenticationError(
                "Missing credentials.",
                remedy="Send `Authorization: Bearer <token>`.",
                code="access.credentials.missing",
            )
        by_row = getattr(view, "actions_by_row", {}).get(request.method)
        if by_row is not None:
            if not may_at_all(viewer, by_row):
                raise _denied(viewer, by_row)
            return True
        require(viewer, getattr(view, "actions_required", {}).get(request.method, "view"))
        return True


def require(viewer: Viewer, action: str) -> None:
    """Raises NotAllowedError: the viewer may not do this with anything here."""
    if not viewer.allows(action):
        raise _denied(viewer, action)


def _denied(viewer: Viewer, action: str) -> NotAllowedError:
    return NotAllowedError(
        f"{viewer.name or viewer.actor} may not {action} here.",
        code=f"access.{action}.denied",
        remedy="Ask a platform admin.",
    )
