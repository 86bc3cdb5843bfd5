"""Pages of the shell itself."""

from __future__ import annotations

from django.urls import path

from portal.web.views.account import account, end, end_others
from portal.web.views.appearance import appearance
from portal.web.views.home import home

app_name = "web"
urlpatterns = [
    path("", home, name="home"),
    path("account/", account, name="account"),
    path("account/sessions/end-others/", end_others, name="sessions-end"),
    path("account/sessions/<int:key>/end/", end, name="session-end"),
    path("settings/appearance/", appearance, name="appearance"),
]
