"""The catalog index."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


def apis(request: HttpRequest) -> HttpResponse:
    """``/catalog/apis/`` is the index narrowed to APIs."""
    return HttpResponseRedirect(f"{reverse('catalog:index')}?kind=api")
