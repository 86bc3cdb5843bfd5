"""Settings of web and worker processes that share database, broker and folder of descriptors with a test."""

from __future__ import annotations

import os
from pathlib import Path

from tests.jobs.worker_settings import *  # noqa: F403  (the settings of the test run, with the places of the test)

CALLBOARD_FILE_ROOTS = [Path(os.environ["CALLBOARD_TEST_FOLDER"])]
