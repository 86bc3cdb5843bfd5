"""How the API knows who is asking: a bearer token, or the portal's own session."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework import authentication
from rest_framework.request import Request

from portal.access.models import User
from portal.access.services import viewer_of_token, viewer_of_user
from portal.access.viewer import Viewer
from portal.core.errors import AuthenticationError


class TokenAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer <token>``; ``request.auth`` is the viewer."""

    keyword = "bearer"

    def authenticate(self, request: Request) -> tuple[object, Viewer] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, text = header.partition(" ")
        if scheme.lower() != self.keyword:
            return None
        viewer = viewer_of_token(text.strip())
        if viewer is None:
            raise AuthenticationError(
                "This token is unknown, expired or revoked.",
                code="access.token.invalid",
                remedy="Ask an admin for a new one, or run `manage.py token create --user NAME`.",
            )
        return viewer, viewer

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with CSRF protection for writes."""

    def authenticate(self, request: Request) -> tuple[object, Viewer] | None:
        django_request: HttpRequest = request._request
        user = getattr(django_request, "user", None)
        if not isinstance(user, User) or not user.is_active:
            return None
        self.enforce_csrf(request)
        return user, viewer_of_user(user)
