"""Pages of jobs, below ``/jobs/``."""

from __future__ import annotations

from django.urls import path

from portal.jobs import views

app_name = "jobs"
urlpatterns = [
    path("<uuid:key>/", views.job, name="job"),
    path("<uuid:key>/state/", views.state, name="state"),
    path("<uuid:key>/cancel/", views.cancel_job, name="cancel"),
]
