"""The admin site, and the admin of packages below ``portal.access``."""
