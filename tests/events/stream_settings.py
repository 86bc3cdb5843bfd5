"""Settings of a server of event streams that shares its database with a test: few places, and impatient."""

from __future__ import annotations

from pathlib import Path

from django.apps import AppConfig

from portal.events.registry import event_types, everyone
from tests.jobs.worker_settings import *  # noqa: F403  (the settings of the test run, with the places of the test)

CALLBOARD_EVENT_STREAMS = 4


class ImpatientConfig(AppConfig):
    """Looks and signs of life come sooner, and the types of the tests."""

    name = "tests.events"
    label = "tests_events"
    path = str(Path(__file__).parent)

    def ready(self) -> None:
        from portal.events.api import streams

        streams.HEARTBEAT_SECONDS, streams.CHECK_SECONDS, streams.POLL_SECONDS = 1.0, 0.5, 0.1
        event_types.register("tests", visible=everyone)


INSTALLED_APPS = [*INSTALLED_APPS, "tests.events.stream_settings.ImpatientConfig"]  # noqa: F405  (from the star)
