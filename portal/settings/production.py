"""Production: everything from the environment, nothing guessed, nothing local."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from portal.settings.base import *  # noqa: F403  (settings stand on base by design)
from portal.settings.base import ALLOWED_HOSTS, CALLBOARD_KEYS, SECRET_KEY, env

CALLBOARD_LOCAL = False

if len(SECRET_KEY) < 50 or SECRET_KEY.startswith("local-"):
    raise ImproperlyConfigured("Set CALLBOARD_SECRET_KEY to at least 50 random characters of your own.")
if not CALLBOARD_KEYS or any(key.startswith("local-") for key in CALLBOARD_KEYS):
    raise ImproperlyConfigured("Set CALLBOARD_KEYS to id:base64 keys made by `manage.py keys new`.")
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured("Set CALLBOARD_ALLOWED_HOSTS to the host names people use.")

# The proxy says how and from where people came (X-Forwarded-Proto, last entry of X-Forwarded-For).
CALLBOARD_BEHIND_PROXY = env.bool("CALLBOARD_BEHIND_PROXY", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CALLBOARD_BEHIND_PROXY else None
SECURE_SSL_REDIRECT = env.bool("CALLBOARD_HTTPS", True)
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("CALLBOARD_HTTPS", True)
SECURE_HSTS_SECONDS = 31_536_000 if env.bool("CALLBOARD_HTTPS", True) else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
