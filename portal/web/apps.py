from django.apps import AppConfig
from django.contrib.admin import apps as django_admin


class WebConfig(AppConfig):
    name = "portal.web"
    label = "web"
    verbose_name = "Portal"
    default = True


class AdminConfig(django_admin.AdminConfig):
    """Sets the one admin site that every app registers with."""

    default = False
    default_site = "portal.web.admin.site.AdminSite"
