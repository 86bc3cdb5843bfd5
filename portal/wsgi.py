"""Pages and API: ``gunicorn -k gthread portal.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from portal.core.collector import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.production")
application = get_wsgi_application()
len(get_resolver().url_patterns)  # loads every view, which otherwise waits for the first request
settle()
