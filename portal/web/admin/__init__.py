"""The admin site, and the admin of packages below ``portal.access``."""

from portal.web.admin.navigation import navigation

__all__ = ["navigation"]
