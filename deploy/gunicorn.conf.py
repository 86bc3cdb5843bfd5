"""Pages and API: ``gunicorn -c deploy/gunicorn.conf.py portal.wsgi``.

Threads answer a simple page in half the time that ASGI servers need; event streams have a process of their own
(``deploy/systemd/callboard-events.service``).
"""

from __future__ import annotations

import os
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

bind = os.environ.get("CALLBOARD_BIND", "127.0.0.1:8001")
worker_class = "gthread"
workers = int(os.environ.get("CALLBOARD_WEB_PROCESSES", str(os.cpu_count() or 2)))
threads = int(os.environ.get("CALLBOARD_WEB_THREADS", "4"))
timeout = 60
graceful_timeout = 30
keepalive = 75  # longer than the proxy keeps its own side open
max_requests = 20_000
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112  (heartbeats, off the disk)
accesslog = None  # Callboard writes one line per request itself
errorlog = "-"


def child_exit(server: Any, worker: Any) -> None:
    """Takes a process that ended out of the shared metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        mark_process_dead(worker.pid)
