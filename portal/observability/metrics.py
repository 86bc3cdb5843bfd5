"""Metrics for Prometheus at ``/metrics``.

Each capability declares its own ``prometheus_client`` counters and histograms beside the code that decides, named
``callboard_<what>_<unit>``, with labels of few values only (never an id, a path or a name that a person chose).

Figures that stand in the database are read when somebody asks for them (``at_scrape``): the same from every process.

Several processes on one machine (gunicorn workers, Celery, the scheduler) share a folder named by
``PROMETHEUS_MULTIPROC_DIR``; the answer then covers them all. Without it each process answers for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

HTTP_SECONDS = Histogram(
    "callboard_http_request_seconds",
    "Time to answer a request, by route (not path), method and class of status.",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)

Figures = Callable[[], Iterable[Metric]]
_asked: dict[str, Figures] = {}
log = structlog.get_logger(__name__)


def at_scrape(name: str, figures: Figures) -> None:
    """Have ``figures`` read for each answer. What they cost is paid by every scrape: remember them for some seconds."""
    _asked[name] = figures


class _Asked(Collector):
    """Everything registered with ``at_scrape``. One that fails is left out, and said so."""

    def collect(self) -> Iterable[Metric]:
        failed = GaugeMetricFamily(
            "callboard_figures_failed", "Groups of figures that could not be read.", labels=["group"]
        )
        for name, figures in _asked.items():
            try:
                yield from list(figures())
                failed.add_metric([name], 0)
            except Exception:
                # A database that is away must not take the figures of the processes with it.
                log.exception("figures_failed", group=name)
                failed.add_metric([name], 1)
        yield failed


def shared_folder() -> Path | None:
    """The folder through which processes share their figures, or None when each stands alone."""
    name = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    return Path(name) if name else None


def render() -> bytes:
    """All figures in Prometheus' text form."""
    asked = CollectorRegistry()
    asked.register(_Asked())
    if shared_folder() is None:
        return generate_latest(REGISTRY) + generate_latest(asked)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry) + generate_latest(asked)


def process_ended(pid: int) -> None:
    """Tells the shared folder that a process is gone, so that its gauges no longer count."""
    if shared_folder() is not None:
        mark_process_dead(pid)


@login_not_required
@require_GET
def view(request: HttpRequest) -> HttpResponse:
    """``GET /metrics`` with ``Authorization: Bearer <CALLBOARD_METRICS_TOKEN>``; 404 where no token is set."""
    expected = settings.CALLBOARD_METRICS_TOKEN
    if not expected:
        return HttpResponse(
            "Metrics are off. Set CALLBOARD_METRICS_TOKEN.\n", status=404, content_type="text/plain"
        )
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(given.strip(), expected):
        refused = HttpResponse(
            "Send the metrics token as a bearer token.\n", status=401, content_type="text/plain"
        )
        refused["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    return HttpResponse(render(), content_type=CONTENT_TYPE_LATEST)
