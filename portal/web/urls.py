"""Pages of the shell itself."""

from __future__ import annotations

from django.urls import path

from portal.web.views.appearance import appearance
from portal.web.views.home import home

app_name = "web"
urlpatterns = [
    path("", home, name="home"),
    path("settings/appearance/", appearance, name="appearance"),
]
