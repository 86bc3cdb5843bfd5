"""Who may call an operation at all; rows are narrowed by ``visible_to``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from portal.access.viewer import Viewer
from portal.core.errors import AuthenticationError, NotAllowedError

if TYPE_CHECKING:  # REST framework loads this module while it loads its views
    from rest_framework.views import APIView


class SignedIn(BasePermission):
    """Signed in, and allowed the view's ``action_required`` in general."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        viewer = request.auth
        if not isinstance(viewer, Viewer):
            raise AuthenticationError(
                "Missing credentials.",
                remedy="Send `Authorization: Bearer <token>`.",
                code="access.credentials.missing",
            )
        actions = getattr(view, "actions_required", {})
        action = actions.get(request.method, "view")
        if not viewer.allows(action):
            raise NotAllowedError(
                f"{viewer.name or viewer.actor} may not {action} here.",
                code=f"access.{action}.denied",
                remedy="Ask a platform admin.",
            )
        return True
