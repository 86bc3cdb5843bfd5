"""Settings of a process that sends to a server of the test."""

from __future__ import annotations

from tests.jobs.worker_settings import *  # noqa: F403  (the settings of the test run, with the places of the test)

CALLBOARD_EGRESS_ALLOW = ["127.0.0.1"]
