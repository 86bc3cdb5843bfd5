"""Every outgoing HTTP request of the house: guarded, bounded in time and size, credentials kept in place.

:func:`get` and :func:`request` make one call; a :class:`Client` keeps connections open between several.
"""

from __future__ import annotations

from portal.core.http.client import Client, basic, bearer, get, request
from portal.core.http.response import HttpStatusError, HttpUnreachableError, Response
from portal.core.http.urls import check_url, mask_url, origin

__all__ = [
    "Client",
    "HttpStatusError",
    "HttpUnreachableError",
    "Response",
    "basic",
    "bearer",
    "check_url",
    "get",
    "mask_url",
    "origin",
    "request",
]
