"""Paths of jobs, below ``/api/jobs/v1/``."""

from __future__ import annotations

from django.urls import path

from portal.jobs.api import views

app_name = "jobs-v1"
urlpatterns = [
    path("jobs", views.JobsView.as_view(), name="jobs"),
    path("jobs/<uuid:id>", views.JobView.as_view(), name="job"),
    path("jobs/<uuid:id>/cancel", views.JobCancelView.as_view(), name="cancel"),
]
