from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory

from portal.observability import tracing
from portal.observability.middleware import RequestMiddleware


@pytest.fixture
def spans() -> Iterator[Any]:
    """Records spans in memory; its value gives the finished ones."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracing.use(provider)
    yield kept.get_finished_spans
    tracing.use(None)


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing.configure()
    assert not tracing.is_active()
    with tracing.span("work") as span:
        assert span is None
    assert tracing.carrier() == {}


def test_the_variable_without_the_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ImproperlyConfigured, match=r"requirements/tracing\.txt"):
        tracing.configure()


@pytest.mark.services("tracing")
def test_a_request_is_a_span_that_joins_its_caller(spans: Any) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = RequestFactory().get("/nothing", headers={"traceparent": caller})
    RequestMiddleware(lambda _: HttpResponse(status=404))(request)
    (span,) = spans()
    assert span.name == "GET unmatched"
    assert span.attributes["http.response.status_code"] == 404
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.services("tracing")
def test_a_job_joins_the_span_that_started_it(spans: Any) -> None:
    with tracing.span("request"):
        carried = tracing.carrier()
    with tracing.span("job", carrier=carried, job_kind="sync"):
        pass
    first, second = spans()
    assert second.parent.span_id == first.context.span_id
    assert second.attributes == {"job.kind": "sync"}
