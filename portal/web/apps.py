from django.apps import AppConfig
from django.contrib.admin import apps as django_admin


class WebConfig(AppConfig):
    name = "portal.web"
    label = "web"
    verbose_name = "Portal"
    default = True

    def ready(self) -> None:
        from portal import celery  # noqa: F401  (the doorbell needs the configured app in every process)


class AdminConfig(django_admin.AdminConfig):
    """Sets the one admin site that every app registers with."""

    default = False
    default_site = "portal.web.admin.site.AdminSite"

    def ready(self) -> None:
        super().ready()
        from portal.web.admin.registration import keep_restricted_pages

        keep_restricted_pages()
