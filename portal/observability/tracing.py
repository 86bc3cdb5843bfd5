"""Traces to an OpenTelemetry collector, only where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set.

The packages are optional (``pip install -r requirements/tracing.txt``); without them, or without the variable, every
function here does nothing and costs next to nothing. The collector is configured by OpenTelemetry's own variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_tracer: Any = None
_propagator: Any = None


def configure() -> None:
    """Starts sending traces if the environment asks for it. Called once, when Django is ready.

    Raises:
        ImproperlyConfigured: traces are asked for, but the packages are not installed.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or is_active():
        return
    try:  # imported here because the packages are optional
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages for tracing are not installed. "
            "Run `pip install --require-hashes -r requirements/tracing.txt`, or unset the variable."
        ) from error
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "callboard")})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: Any) -> None:
    """Takes ``provider`` (an OpenTelemetry ``TracerProvider``) for all later spans; None switches traces off."""
    global _tracer, _propagator  # one tracer per process, chosen at its start
    if provider is None:
        _tracer = _propagator = None
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # optional package

    _tracer = provider.get_tracer("callboard")
    _propagator = TraceContextTextMapPropagator()


def is_active() -> bool:
    """Whether spans are recorded at all."""
    return _tracer is not None


def span(
    name: str, *, carrier: Mapping[str, str] | None = None, **attributes: Any
) -> AbstractContextManager[Any]:
    """A context manager around one piece of work; its value is the span, or None where traces are off.

    Args:
        name: few different values, such as ``sync source`` or a route.
        carrier: headers or job data with the caller's ``traceparent``; without it the span joins the current one.
        attributes: values of the span; underscores become dots (``http_route`` is ``http.route``).
    """
    if _tracer is None:
        return nullcontext()
    manager: AbstractContextManager[Any] = _tracer.start_as_current_span(
        name,
        context=None if carrier is None else _propagator.extract(carrier),
        attributes={key.replace("_", "."): value for key, value in attributes.items()},
    )
    return manager


def carrier() -> dict[str, str]:
    """What a job or message must carry for its span to join this one; empty where traces are off."""
    headers: dict[str, str] = {}
    if _propagator is not None:
        _propagator.inject(headers)
    return headers
