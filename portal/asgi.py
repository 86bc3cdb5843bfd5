"""Event streams in production, and everything in the embedded mode."""

import os

from django.core.asgi import get_asgi_application
from django.urls import get_resolver

from portal.core.collector import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.production")
application = get_asgi_application()
len(get_resolver().url_patterns)  # loads every view, which otherwise waits for the first request
settle()
