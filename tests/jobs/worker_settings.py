"""Settings of a worker in its own process that shares database and broker with the test that started it."""

from __future__ import annotations

import json
import os

from portal.settings.test import *  # noqa: F403  (the settings of the test run, with the places of the test)

_shared = json.loads(os.environ["CALLBOARD_TEST_WORKER"])
DATABASES = {"default": _shared["database"]}
CELERY_BROKER_URL = _shared["broker"]
CELERY_BROKER_TRANSPORT_OPTIONS = _shared["broker_options"]
CELERY_IMPORTS = ["tests.jobs.handlers"]
