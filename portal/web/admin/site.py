"""The one admin site."""

from __future__ import annotations

from unfold.sites import UnfoldAdminSite


class AdminSite(UnfoldAdminSite):
    """Curation for platform admins, in the look of the portal."""

    site_title = "Callboard admin"
    site_header = "Callboard"
    index_title = "What needs a person"
