"""The test run: SQLite in memory or DATABASE_URL, fast hashing, strict about everything."""

from __future__ import annotations

import atexit
import base64
import re
import shutil
import tempfile
from pathlib import Path

from portal.settings.base import *  # noqa: F403  (settings stand on base by design)
from portal.settings.base import BASE_DIR, CACHES, REDIS_URL, env

DATA_DIR = Path(tempfile.mkdtemp(prefix="callboard-test-"))
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir()
SECRET_KEY = "test-" + "k" * 48
CALLBOARD_KEYS = ["test-1:" + base64.b64encode(b"t" * 32).decode()]
CALLBOARD_LOCAL = True
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
_storage = "django.core.files.storage.FileSystemStorage"
STORAGES = {
    "default": {"BACKEND": _storage, "OPTIONS": {"location": str(DATA_DIR / "default")}},
    "blobs": {"BACKEND": _storage, "OPTIONS": {"location": str(DATA_DIR / "blobs")}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CALLBOARD_FILE_ROOTS = [DATA_DIR, BASE_DIR / "deploy" / "demo"]
CALLBOARD_METRICS_TOKEN = "metrics-token"
if not env.str("DATABASE_URL", ""):
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(DATA_DIR / "callboard.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON",
            },
            # A file, as in every real installation: in memory, threads would share one cache and lock each other out.
            "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")},
        }
    }
if REDIS_URL:
    # Each process of a parallel run has a Redis database of its own, as it has a test database of its own.
    _number = re.sub(r"\D", "", env.str("PYTEST_XDIST_WORKER", "")) or "0"
    REDIS_URL = CELERY_BROKER_URL = re.sub(r"/\d+$", f"/{_number}", REDIS_URL)
    CACHES = {"default": {**CACHES["default"], "LOCATION": REDIS_URL}}
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "queue"),
        "data_folder_out": str(DATA_DIR / "queue"),
        "control_folder": str(DATA_DIR / "control"),
        "polling_interval": 0.05,
    }
