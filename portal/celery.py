"""Celery, the doorbell: ``celery -A portal.celery worker --pool threads``."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery
from celery.signals import setup_logging, worker_init
from django.conf import settings

from portal.core.collector import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.local")

app = Celery("callboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
if settings.CELERY_BROKER_URL.startswith("filesystem"):
    for _folder in ("data_folder_in", "control_folder"):
        Path(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS[_folder])).mkdir(parents=True, exist_ok=True)


@setup_logging.connect
def _keep_our_logging(**_: object) -> None:
    """Connecting is enough: Celery then leaves the logging of ``portal.observability`` alone."""


@worker_init.connect
def _settle(**_: object) -> None:
    settle()
