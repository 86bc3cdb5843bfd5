"""The base class of every API view above ``portal.access``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.access.api import schema  # noqa: F401  (describes our authentication wherever a view of ours is)
from portal.access.api.parameters import Parameters
from portal.access.api.parsers import JSONParser
from portal.access.viewer import Viewer


class APIBase(APIView):
    """Signed-in only; ``self.viewer`` scopes every read, ``actions_required`` says what a method needs.

    Attributes:
        actions_required: HTTP method to action (``view`` where a method is not named).
        actions_by_row: the same where rules decide for each row: the view asks for rows of that action.
        mount: prefix cut from the address in error bodies.
    """

    actions_required: ClassVar[dict[str, str]] = {}
    actions_by_row: ClassVar[dict[str, str]] = {}
    mount: ClassVar[str] = ""
    request: Request

    @property
    def viewer(self) -> Viewer:
        return cast("Viewer", self.request.auth)


class OwnView(APIBase):
    """Base of our own paths, ``/api/<app>/v1/``: JSON whatever the client says it accepts, strict parameters."""

    parser_classes: Sequence[type[BaseParser]] = (JSONParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None  # there is one format, so there is nothing to negotiate
        self.perform_authentication(request)
        self.check_permissions(request)

    def parameters(self, *known: str) -> Parameters:
        """The query parameters; raises InputError for one that is not among ``known``."""
        return Parameters(self.request, known)
