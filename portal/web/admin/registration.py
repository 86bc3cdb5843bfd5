"""The last step of gathering the admin's pages."""

from __future__ import annotations

import structlog
from django.contrib import admin

from portal.access.admin import ModelAdmin
from portal.web.admin import audit  # noqa: F401  (registers what lies below portal.access)

log = structlog.get_logger(__name__)
#: Pages that packages bring along and that we have pages of our own for, or no use.
UNUSED = {"auth.group", "account.emailaddress"}


def keep_restricted_pages() -> None:
    """Drop every page that is not of our base class: it would be neither restricted nor audited."""
    for model, model_admin in list(admin.site._registry.items()):
        if not isinstance(model_admin, ModelAdmin):
            admin.site.unregister(model)
            if model._meta.label_lower not in UNUSED:
                log.warning(
                    "admin_page_dropped", model=model._meta.label, admin=type(model_admin).__qualname__
                )
