"""Settings of a second instance: a database and folder of its own, and nothing to be reached but stock's paths."""

from __future__ import annotations

import os
from pathlib import Path

from portal.settings.test import *  # noqa: F403  (the settings of the test run, with places of its own)

DATA_DIR = Path(os.environ["CALLBOARD_SECOND_FOLDER"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(DATA_DIR / "second.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
ROOT_URLCONF = "tests.catalog.second_urls"
CALLBOARD_FILE_ROOTS = [DATA_DIR / "files"]
CALLBOARD_REMOVAL_LEAST = 10**9
REDIS_URL = ""
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT = "portal.jobs.broker:Transport"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": str(DATA_DIR / "queue"),
    "data_folder_out": str(DATA_DIR / "queue"),
    "control_folder": str(DATA_DIR / "control"),
}
