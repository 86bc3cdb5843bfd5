from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import request_finished

from portal.observability import tracing
from portal.observability.middleware import forget_request


class ObservabilityConfig(AppConfig):
    name = "portal.observability"
    label = "observability"
    verbose_name = "Observability"

    def ready(self) -> None:
        tracing.configure()
        request_finished.connect(forget_request, dispatch_uid="observability.forget_request")
