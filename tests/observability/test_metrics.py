from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from tests.architecture.house import ROOT

BEARER = {"Authorization": "Bearer metrics-token"}


def test_metrics_need_their_token(client: Client, db) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Basic metrics-token"}).status_code == 401
    assert client.get("/metrics", headers=BEARER).status_code == 200


def test_metrics_are_off_without_a_token(client: Client, db, settings) -> None:
    settings.CALLBOARD_METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_a_request_shows_up_under_its_route(client: Client, db) -> None:
    client.get("/health/live")
    text = client.get("/metrics", headers=BEARER).text
    assert 'callboard_http_request_seconds_count{method="GET",route="health/live",status="2xx"}' in text


@pytest.mark.slow
def test_one_answer_covers_all_processes_of_the_machine(tmp_path: Path) -> None:
    count = (
        "from portal.observability.metrics import HTTP_SECONDS, render\n"
        "HTTP_SECONDS.labels(route='r', method='GET', status='2xx').observe(0.01)\n"
        "print(render().decode())"
    )
    env = {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "portal.settings.test",
    }
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", count], env=env, cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert 'callboard_http_request_seconds_count{method="GET",route="r",status="2xx"} 3.0' in done.stdout
