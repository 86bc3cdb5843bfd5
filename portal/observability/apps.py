from __future__ import annotations

from django.apps import AppConfig

from portal.observability import tracing


class ObservabilityConfig(AppConfig):
    name = "portal.observability"
    label = "observability"
    verbose_name = "Observability"

    def ready(self) -> None:
        tracing.configure()
