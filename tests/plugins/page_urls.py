"""What a plugin's URL configuration looks like; ``urlpatterns`` below are the project's with it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path


@login_not_required
def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello from a plugin")


urlpatterns = [path("", hello, name="hello"), path("again/", hello, name="again")]
